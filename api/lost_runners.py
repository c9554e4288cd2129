"""What this process can say of runners that fall silent: how many, and whose locks wait for an operator.

For people and dashboards, on this process' clock and fold. What follows for attempts the watchdog decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import get_args

from api.parts import ApiParts
from domain.errors import Busy
from domain.leases import RunnerState, in_conflict
from domain.task_read import TaskRead
from domain.transitions import Status
from domain.wire import Heartbeat, Held

FRESH_SECONDS = 1.0
Beats = Sequence[tuple[Heartbeat, datetime]]
"""The last heartbeat of every runner that has ever sent one, and when it was stored."""


def awaiting_operator(parts: ApiParts, lost: Collection[str]) -> dict[str, list[Held]]:
    """By lost runner: its attempts whose lock is kept, as their workspace's `on_runner_lost` is `hold`."""
    if not lost:
        return {}
    holding = {one.id for one in parts.view.registrations() if one.on_runner_lost == "hold"}
    found: dict[str, list[Held]] = {}
    for workspace in sorted(holding):
        for grant in parts.view.holders(workspace):
            if grant.runner_id in lost:
                held = Held(task_id=grant.claim.task_id, attempt=grant.claim.attempt)
                found.setdefault(str(grant.runner_id), []).append(held)
    return found


def count_runners(parts: ApiParts, beats: Beats) -> tuple[dict[RunnerState, int], int]:
    """Runners by state, and the number of locks that wait for an operator."""
    now = parts.clock()
    states = {beat.runner_id: parts.lease.state(at, now) for beat, at in beats}
    counted = Counter(states.values())
    kept = awaiting_operator(parts, {name for name, state in states.items() if state == "lost"})
    return {state: counted[state] for state in get_args(RunnerState)}, sum(map(len, kept.values()))


def count_conflicts(parts: ApiParts, recent: Mapping[str, Beats]) -> int:
    """Runner ids under which several runners take turns, as far as one of them was heard of lately."""
    now = parts.clock()
    return sum(
        in_conflict(beats) and parts.lease.state(beats[-1][1], now) != "lost" for beats in recent.values()
    )


def reports_waiting(parts: ApiParts, beats: Beats) -> int:
    """Reports that runners which are not lost have on their disks, as far as their heartbeats say."""
    now = parts.clock()
    return sum(beat.outbox or 0 for beat, at in beats if parts.lease.state(at, now) != "lost")


async def show_runner_state(parts: ApiParts, read: TaskRead) -> None:
    """Fill in the state of the runner that has the attempt, as it was at most FRESH_SECONDS ago.

    It stays null where that runner sends no heartbeats, or they cannot be read just now: the task can be.
    """
    if read.status not in (Status.QUEUED, Status.RUNNING) or read.runner_id is None:
        return
    try:
        last = await parts.heartbeats.last(read.runner_id, FRESH_SECONDS)
    except Busy:
        return
    if last is not None:
        read.runner_state = parts.lease.state(last[1], parts.clock())
