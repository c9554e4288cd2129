"""The states of a small world, as plain tuples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from domain.log.events import CreatedData
from tests.unit.domain.aggregates import TaskState
from tests.unit.domain.small_worlds.small_locks import Seq


class Phase(Enum):
    """Where an attempt is on a runner."""

    UNKNOWN = "unknown"
    ASKING = "asking"
    PERMITTED = "permitted"
    RUNNING = "running"
    OVER = "over"


Attempt = tuple[int, int]


class Mark(NamedTuple):
    """What the log says of an attempt, as bookkeeping of the checks.

    `by_hand` is the status in which an operator freed its lock.
    """

    decided: str | None = None
    by_hand: str | None = None
    end: str | None = None


class Sends(NamedTuple):
    sent: int = 0
    on_their_way: int = 0


class Held(NamedTuple):
    """An attempt on a runner: `owed` reports wait for an answer, `said` ones may come again."""

    phase: Phase = Phase.UNKNOWN
    owed: frozenset[str] = frozenset()
    said: frozenset[str] = frozenset()

    def say(self, phase: Phase, *reports: str) -> Held:
        return Held(phase, self.owed | set(reports), self.said | set(reports))


class State(NamedTuple):
    tasks: tuple[TaskState, ...]
    locks: Any
    marks: tuple[Mark, ...]
    sends: tuple[Sends, ...]
    runners: tuple[tuple[Held, ...] | None, ...]
    operator: tuple[int, int, Seq] | None
    cancels: int
    hands: int
    resends: int
    deaths: int


@dataclass(frozen=True)
class Setting:
    """How large a world is, and which rules are kept in it.

    `ends`: there are no runners; whatever is granted may end at any time. `slow_start`: time passes
    between a runner's permission and its process. `gate`, `lease`: whether runners keep them.
    """

    specs: Sequence[CreatedData]
    attempts: tuple[int, ...]
    runners: int = 1
    cancels: int = 0
    hands: int = 0
    resends: int = 0
    deaths: int = 0
    ends: bool = False
    slow_start: bool = False
    gate: bool = True
    lease: bool = True

    def conflict(self, one: Attempt, other: Attempt) -> bool:
        """Whether two attempts may not hold at once, by definition rather than by the table's code."""
        left, right = self.specs[one[0]], self.specs[other[0]]
        if left.workspace is None or right.workspace is None or left.lock_mode == right.lock_mode == "shared":
            return False
        if not left.lock_paths or not right.lock_paths:
            return True
        return any(
            f"{a}/".startswith(f"{b}/") or f"{b}/".startswith(f"{a}/")
            for a in left.lock_paths
            for b in right.lock_paths
        )


def put(items: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    return (*items[:place], item, *items[place + 1 :])
