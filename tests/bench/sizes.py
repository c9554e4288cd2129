"""How much each row does: enough to be steady, little enough for the whole bench to end in ten minutes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Counts of one run; `rounds` is how often ours and the baseline take turns."""

    rounds: int = 3
    tasks: int = 300
    task_latencies: int = 200
    reports_always: int = 2500
    reports_interval: int = 5000
    appends_always: int = 4000
    appends_interval: int = 16000
    lives_always: int = 1000
    lives_interval: int = 1500
    handoff_seconds: float = 8.0
    waiters: tuple[int, int, int] = (10, 100, 1000)
    waiting_paths: int = 256
    contention_lives: int = 400
    lock_commands: int = 30
    output_megabytes: int = 200
    output_lines: int = 100
    output_megabytes_shown: int = 1000
    output_tasks: int = 100
    output_follow_seconds: float = 10.0
    replay_events: int = 100_000
    small_events: int = 3_000
    large_events: int = 300_000
    growth_tasks: int = 300
    growth_requests: int = 100
    memory_lives: int = 100_000
    memory_touches: int = 5_000
    evidence_events: int = 1_000_000

    def reports(self, mode: str) -> int:
        """Reports in one turn."""
        return self.reports_always if mode == "always" else self.reports_interval

    def appends(self, mode: str) -> int:
        """Raw appends in one turn."""
        return self.appends_always if mode == "always" else self.appends_interval

    def lives(self, mode: str) -> int:
        """Whole lives in one turn."""
        return self.lives_always if mode == "always" else self.lives_interval


QUICK = Sizes(
    rounds=1,
    tasks=24,
    task_latencies=5,
    reports_always=200,
    reports_interval=200,
    appends_always=300,
    appends_interval=300,
    lives_always=100,
    lives_interval=100,
    handoff_seconds=3.0,
    waiters=(2, 4, 8),
    waiting_paths=16,
    contention_lives=20,
    lock_commands=3,
    output_megabytes=4,
    output_lines=5,
    output_megabytes_shown=8,
    output_tasks=4,
    output_follow_seconds=2.0,
    replay_events=3_000,
    small_events=1_000,
    large_events=6_000,
    growth_tasks=40,
    growth_requests=5,
    memory_lives=700,
    memory_touches=100,
    evidence_events=11_500,  # a rung of time travel, and something behind it
)
