"""Rows of the bench: what was measured, against what, and whether the goal is met.

All goals stand here, so that a reader sees the whole promise in one place. A row that could not be
measured has no figure and does not meet its goal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

ALWAYS, INTERVAL = "always", "interval"
SYNC_INTERVALS = {ALWAYS: "always", INTERVAL: "2m"}


@dataclass(frozen=True, slots=True)
class Goal:
    """`of` (the ratio to the baseline, or the figure itself) must be at least or at most `bound`."""

    unit: str
    of: Literal["ratio", "figure"]
    limit: Literal[">=", "<="]
    bound: float

    def met(self, figure: float, ratio: float | None) -> bool:
        """Whether it is reached; a missing ratio reaches nothing."""
        value = ratio if self.of == "ratio" else figure
        if value is None:
            return False
        return value >= self.bound if self.limit == ">=" else value <= self.bound

    def __str__(self) -> str:
        unit = "" if self.of == "ratio" else f" {self.unit}"
        return f"{self.of} {self.limit} {self.bound:g}{unit}"


GOALS = {
    "tasks/always": Goal("tasks/s", "ratio", ">=", 0.08),
    "tasks/interval": Goal("tasks/s", "ratio", ">=", 0.08),
    "task-cpu": Goal("ms", "figure", "<=", 20),
    "task-latency-p50": Goal("ms", "ratio", "<=", 20),
    "task-latency-p99": Goal("ms", "ratio", "<=", 60),
    "shim-memory": Goal("MB", "figure", "<=", 2),
    "http-reports/always": Goal("reports/s", "ratio", ">=", 1.3),
    "http-reports/interval": Goal("reports/s", "ratio", ">=", 1.0),
    "nats-reports/always": Goal("reports/s", "ratio", ">=", 0.5),
    "nats-reports/interval": Goal("reports/s", "ratio", ">=", 0.18),
    "nats-reports-two/always": Goal("reports/s", "ratio", ">=", 0.7),
    "lifecycles/always": Goal("lives/s", "ratio", ">=", 2.0),
    "lifecycles/interval": Goal("lives/s", "ratio", ">=", 0.4),
    "handoff-p50/always": Goal("ms", "ratio", "<=", 8),
    "handoff-p99/always": Goal("ms", "ratio", "<=", 6),
    "handoff-p50/interval": Goal("ms", "ratio", "<=", 8),
    "handoff-p99/interval": Goal("ms", "ratio", "<=", 6),
    "contention-grant-100": Goal("ms", "ratio", "<=", 2),
    "contention-grant-1000": Goal("ms", "ratio", "<=", 2),
    "contention-decisions-100": Goal("decisions/s", "ratio", ">=", 0.5),
    "contention-decisions-1000": Goal("decisions/s", "ratio", ">=", 0.5),
    "lock-command": Goal("ms", "figure", "<=", 500),
    "lock-command-own": Goal("ms", "figure", "<=", 50),
    "output": Goal("MB/s", "ratio", ">=", 0.3),
    "output-hops": Goal("MB/s", "ratio", ">=", 0.3),
    "output-delay": Goal("ms", "figure", "<=", 100),
    "output-memory/runner": Goal("MB", "figure", "<=", 20),
    "output-memory/shim": Goal("MB", "figure", "<=", 20),
    "output-memory/api": Goal("MB", "figure", "<=", 20),
    "output-memory/nats-server": Goal("MB", "figure", "<=", 20),
    "output-memory/client": Goal("MB", "figure", "<=", 20),
    "output-follow": Goal("processors", "figure", "<=", 1),
    "replay": Goal("events/s", "ratio", ">=", 0.6),
    "growth-append-cached": Goal("ms", "ratio", "<=", 1.2),
    "growth-append-cold": Goal("ms", "ratio", "<=", 1.2),
    "growth-callback-cached": Goal("ms", "ratio", "<=", 1.2),
    "growth-callback-cold": Goal("ms", "ratio", "<=", 1.2),
    "growth-page": Goal("ms", "ratio", "<=", 1.5),
    "growth-page-filtered": Goal("ms", "ratio", "<=", 1.5),
    "growth-page-middle": Goal("ms", "ratio", "<=", 1.5),
    "growth-metrics": Goal("ms", "ratio", "<=", 1.5),
    "locks-at": Goal("ms", "figure", "<=", 300),
    "memory": Goal("MB", "figure", "<=", 250),
    "verify": Goal("events/s", "ratio", ">=", 0.5),
    "verify-memory": Goal("MB", "figure", "<=", 250),
    "time-travel": Goal("events/s", "ratio", ">=", 0.5),
    "time-travel-near": Goal("ms", "figure", "<=", 2000),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    what: str
    figure: float | None
    unit: str
    baseline: float | None
    ratio: float | None
    goal: str
    met: bool


def middle_turn(figures: Sequence[float], baselines: Sequence[float]) -> tuple[float, float]:
    """Figure and baseline of the turn with the median ratio; of two in the middle, the lower.

    Both of a turn were measured one after the other: a machine that is faster in one turn than in the next
    moves the two of them, and not their ratio.
    """
    turns = sorted(zip(figures, baselines, strict=True), key=lambda turn: turn[0] / turn[1])
    return turns[(len(turns) - 1) // 2]


def row(what: str, figure: float | None, baseline: float | None = None) -> Row:
    """The row `what`, judged by its goal; no figure: it could not be measured."""
    goal = GOALS[what]
    ratio = figure / baseline if figure is not None and baseline else None
    met = figure is not None and goal.met(figure, ratio)
    return Row(what, _short(figure), goal.unit, _short(baseline), _short(ratio), str(goal), met)


def _short(value: float | None) -> float | None:
    """Four significant digits: more would only be noise."""
    return None if value is None else float(f"{value:.4g}")


def as_json(rows: Iterable[Row]) -> str:
    """The rows as a JSON list."""
    return json.dumps([asdict(one) for one in rows], indent=1)


def as_table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    head = ("what", "figure", "unit", "baseline", "ratio", "goal", "met")
    lines = [head] + [tuple(_cell(value) for value in asdict(one).values()) for one in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
