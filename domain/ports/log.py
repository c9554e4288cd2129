"""Ports of the log: append with compare-and-set, read, follow, and tasks by replay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from domain.locks.claims import LockFact
from domain.log.events import OnRunnerLost
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from domain.task.aggregate import Task


class AppendConflict(Exception):
    """Something else was appended first; load again and decide again. Nothing was recorded."""


class LogGap(Exception):
    """The log is not contiguous where it must be: a reader halts rather than fold a hole."""


@dataclass(slots=True)
class StoredTask:
    """A task as loaded: `seq` and `chain` are those of its last event (0 and 64 zeros for a new one).

    `fresh` says that the leader confirmed it within this call; a cached one must be confirmed by
    `TaskStore.is_current` before anything is answered that records nothing. `recorded` says that this
    call appended an event; else the answer is about a task that was already so.
    """

    task: Task
    seq: int
    chain: str
    fresh: bool
    recorded: bool = False


class Clock(Protocol):
    """Now, aware, UTC."""

    def __call__(self) -> datetime: ...


Appended = TypeVar("Appended", contravariant=True)


class Appender(Protocol[Appended]):
    """The one function that appends to the log; what it appends is the adapter's own message."""

    async def append(self, message: Appended) -> int:
        """Append; return the stream sequence. AppendConflict, Busy and LogFull as in `TaskStore.append`."""
        ...


class TaskStore(Protocol):
    """Tasks in the log, with optimistic concurrency."""

    def exclusive(self, task_id: str) -> AbstractAsyncContextManager[None]:
        """Serialises work on one task within this process, since cached tasks are shared.

        However it is left, no cached task has a pending event afterwards: what an append that failed or
        was canceled had changed must not be read as if it stood in the log.
        """
        ...

    async def load(self, task_id: str) -> StoredTask | None:
        """The task, from the cache or in one or two bounded reads; None if the leader knows none."""
        ...

    async def load_at(self, task_id: str, seq: int) -> StoredTask | None:
        """The task as it was after `seq`; None where it did not exist then."""
        ...

    async def is_current(self, stored: StoredTask) -> bool:
        """Whether the leader's last event of the task is the one loaded; if not, the cache forgets it."""
        ...

    async def append(self, stored: StoredTask) -> StoredTask:
        """Append the task's one pending event behind `stored.seq`.

        Raises:
            AppendConflict: the log has moved on; the cache has forgotten the task.
            Busy: the outcome stayed unknown or the log does not answer.
            LogFull: the log has no room.
        """
        ...


class LockLog(Protocol):
    """Appends lock facts."""

    async def append_lock(self, fact: LockFact, *, at: datetime, actor: str) -> Recorded:
        """Append behind `fact.expected_seq`; AppendConflict where the workspace's lock facts moved on."""
        ...


class WorkspaceLog(Protocol):
    """Appends workspace registrations."""

    async def last_registration(self, workspace: str) -> Recorded | None:
        """The last registration event of a workspace, read from the leader."""
        ...

    async def append_registered(
        self,
        workspace: str,
        last: Recorded | None,
        root: str,
        on_runner_lost: OnRunnerLost,
        *,
        at: datetime,
        actor: str,
    ) -> Recorded:
        """Append `registered` behind `last`; AppendConflict where another came first."""
        ...

    async def append_removed(
        self, workspace: str, last: Recorded, reason: str | None, *, at: datetime, actor: str
    ) -> Recorded:
        """Append `removed` behind `last`."""
        ...


class LogReader(Protocol):
    """Reads the log in its total order."""

    def follow(self, after_seq: int) -> AsyncIterator[Sequence[Recorded]]:
        """Batches of all events behind `after_seq`, then whatever comes; never ends.

        Raises:
            LogGap: a sequence is missing.
        """
        ...

    async def last_seq(self) -> int:
        """The last stream sequence, from the leader; 0 for an empty log."""
        ...

    async def last_seq_of(self, wanted: EventFilter) -> int:
        """The sequence of the last such event, from the leader; 0 without one."""
        ...

    async def page(self, after_seq: int, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
        """Up to `limit` such events behind `after_seq`."""
        ...

    async def at(self, seqs: Sequence[int]) -> list[Recorded]:
        """The events at these sequences."""
        ...

    async def seq_at(self, at: datetime) -> int:
        """The last sequence stored at or before `at`, by the storing server's clock; 0 for none."""
        ...


class Snapshots(Protocol):
    """Where a fold stands, with its state; losing one costs a longer fold, nothing else."""

    async def load(self, name: str) -> tuple[int, Any] | None:
        """Position and state, or None."""
        ...

    async def latest(self, prefix: str, upto: int) -> tuple[int, Any] | None:
        """Of all whose name begins with `prefix`, the one with the highest position up to `upto`."""
        ...

    async def save(self, name: str, seq: int, state: Any) -> None:
        """Replace position and state; an older position than the one stored changes nothing."""
        ...
