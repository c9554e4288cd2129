"""Ports of work queues that processes share (events, due timers), of timers, and of backlogs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.log.record import Recorded


class EventQueue(Protocol):
    """Events to be acted on, shared among any number of workers; each is handled at least once."""

    async def consume(self, handle: Callable[[Recorded], Awaitable[None]]) -> None:
        """Hand out events until canceled; one whose handling fails comes again, in the end as a dead
        letter."""
        ...


class DueQueue(Protocol):
    """Deadlines that have come due, shared among any number of workers; each at least once."""

    async def consume(self, handle: Callable[[Due], Awaitable[None]]) -> None:
        """Hand out deadlines until canceled."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """A deadline of one attempt; every `kind` (`attempt`, `lock-wait`) has its own handler."""

    kind: str
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline that has come due: when, on the broker's clock, and the note it was armed with."""

    deadline: Deadline
    at: datetime
    note: bytes = b""


class Timers(Protocol):
    """Deadlines that survive every process."""

    async def arm(self, deadline: Deadline, at: datetime, note: bytes = b"") -> None:
        """Let `deadline` come due at `at`, past times at once; arming it again replaces it and its note."""
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a queue's workers have not settled: how many messages, and when the oldest was stored."""

    messages: int
    oldest: datetime | None


class Backlogs(Protocol):
    """How far the workers of the shared queues are behind."""

    @property
    def names(self) -> Sequence[str]:
        """What the workers do, one name a queue."""
        ...

    async def all(self) -> dict[str, Backlog | None]:
        """By name; None where that queue has no consumer yet."""
        ...
