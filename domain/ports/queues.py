"""Ports of work queues that processes share (events, deadlines, reports), of timers, and of backlogs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.identifiers import TaskId
from domain.log.record import Recorded


class EventQueue(Protocol):
    """A queue of events for a process manager, shared by any number of workers; at-least-once delivery."""

    async def consume(self, handle: Callable[[Recorded], Awaitable[None]]) -> None:
        """Pass events to `handle` until canceled; a failed one is redelivered, and finally dead-lettered."""
        ...


class DueQueue(Protocol):
    """A queue of due deadlines, shared by any number of workers; at-least-once delivery."""

    async def consume(self, handle: Callable[[Due], Awaitable[None]]) -> None:
        """Pass deadlines to `handle` until canceled."""
        ...


@dataclass(frozen=True, slots=True)
class QueuedReport:
    """A runner's report as its queue delivers it; `deliveries` counts this time."""

    task_id: TaskId
    data: bytes
    headers: Mapping[str, str]
    deliveries: int


class ReportQueue(Protocol):
    """Runners' reports, shared among any number of workers; each is handled at least once."""

    @property
    def reading(self) -> bool:
        """Whether reports can come, as far as is known."""
        ...

    async def open(self) -> None:
        """Make sure that there is a queue. Raises Busy."""
        ...

    async def consume(self, handle: Callable[[QueuedReport], Awaitable[float | None]]) -> None:
        """Hand out reports until canceled, or stopped and all settled.

        Handlers begin in the order of arrival and run beside each other. One that returns seconds gets its
        report again after so long.
        """
        ...

    async def stop(self) -> None:
        """Let `consume` end: no more reports are asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """A deadline of one attempt; each `kind` (`attempt`, `lock-wait`) has its own handler."""

    kind: str
    task_id: TaskId
    attempt: int


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline that came due, at `at` on the broker's clock, with the note it was armed with."""

    deadline: Deadline
    at: datetime
    note: bytes = b""


class Timers(Protocol):
    """Durable deadlines, kept by the broker."""

    async def arm(self, deadline: Deadline, at: datetime, note: bytes = b"") -> None:
        """Let `deadline` come due at `at` (a past time: at once). Arming it again replaces time and note."""
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """The unsettled messages of a queue: how many, and when the oldest was stored."""

    messages: int
    oldest: datetime | None


class Backlogs(Protocol):
    """The backlogs of the shared queues."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the queues."""
        ...

    async def all(self) -> dict[str, Backlog | None]:
        """Backlogs by name; None for a queue that has no consumer yet."""
        ...
