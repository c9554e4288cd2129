"""Ports of the log: append with compare-and-set, read, follow, and replay tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from domain.identifiers import LogSeq, TaskId, WorkspaceId
from domain.locks.claims import LockFact
from domain.log.events import OnRunnerLost
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from domain.task.aggregate import Task


class AppendConflict(Exception):
    """The compare-and-set failed: another event came first. Nothing was recorded; load and decide again."""


class LogGap(Exception):
    """A sequence of the log is missing. A fold halts instead of skipping it."""


@dataclass(slots=True)
class StoredTask:
    """A task as loaded: `seq` and `chain` are those of its last event (0 and 64 zeros for a new one).

    `fresh`: the leader confirmed it within this call. A cached task must be confirmed by
    `TaskStore.is_current` before an answer that records nothing is based on it. `recorded`: this call
    appended an event; if False, the task was already in this state.
    """

    task: Task
    seq: LogSeq
    chain: str
    fresh: bool
    recorded: bool = False


class Clock(Protocol):
    """Returns the current time, aware, in UTC."""

    def __call__(self) -> datetime: ...


Appended = TypeVar("Appended", contravariant=True)


class Appender(Protocol[Appended]):
    """Appends the adapter's own message type to the log; every append goes through it."""

    async def append(self, message: Appended) -> LogSeq:
        """Append; return the stream sequence. Raises what `TaskStore.append` raises."""
        ...


class TaskStore(Protocol):
    """Tasks in the log, with optimistic concurrency."""

    def exclusive(self, task_id: TaskId) -> AbstractAsyncContextManager[None]:
        """Serialise work on one task within this process, since cached tasks are shared.

        On every exit, an error or a cancellation included, no cached task has a pending event: a change whose
        append failed must not be read as if the log had it.
        """
        ...

    async def load(self, task_id: TaskId) -> StoredTask | None:
        """The task, from the cache or by one or two bounded reads; None if the leader has no such task."""
        ...

    async def load_at(self, task_id: TaskId, seq: LogSeq) -> StoredTask | None:
        """The task after `seq`; None if it did not exist then."""
        ...

    async def is_current(self, stored: StoredTask) -> bool:
        """Whether the leader's last event of the task is the loaded one; if not, drop it from the cache."""
        ...

    async def append(self, stored: StoredTask) -> StoredTask:
        """Append the task's one pending event, expecting `stored.seq` as the task's last sequence.

        Raises:
            AppendConflict: another event of the task came first; the task is dropped from the cache.
            Busy: the outcome stayed unknown, or the log does not answer.
            LogFull: the log has no room.
        """
        ...


class LockLog(Protocol):
    """Appends lock facts (grants, refusals, releases)."""

    async def append_lock(self, fact: LockFact, *, at: datetime, actor: str) -> Recorded:
        """Append, expecting `fact.expected_seq`; AppendConflict if another lock fact came first."""
        ...


class WorkspaceLog(Protocol):
    """Appends workspace registrations."""

    async def last_registration(self, workspace: WorkspaceId) -> Recorded | None:
        """The last registration event of a workspace, from the leader."""
        ...

    async def append_registered(
        self,
        workspace: WorkspaceId,
        last: Recorded | None,
        root: str,
        on_runner_lost: OnRunnerLost,
        *,
        at: datetime,
        actor: str,
    ) -> Recorded:
        """Append `registered`, expecting `last`; AppendConflict if another event came first."""
        ...

    async def append_removed(
        self, workspace: WorkspaceId, last: Recorded, reason: str | None, *, at: datetime, actor: str
    ) -> Recorded:
        """Append `removed`, expecting `last`; AppendConflict if another event came first."""
        ...


class LogReader(Protocol):
    """Reads the log in its total order."""

    def follow(self, after_seq: LogSeq) -> AsyncIterator[Sequence[Recorded]]:
        """Batches of all events after `after_seq`, then new events as they are appended; never ends.

        Raises:
            LogGap: a sequence is missing.
        """
        ...

    async def last_seq(self) -> LogSeq:
        """The last stream sequence, from the leader; 0 for an empty log."""
        ...

    async def last_seq_of(self, wanted: EventFilter) -> LogSeq:
        """The sequence of the last matching event, from the leader; 0 for none."""
        ...

    async def page(self, after_seq: LogSeq, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
        """Up to `limit` matching events after `after_seq`."""
        ...

    async def at(self, seqs: Sequence[LogSeq]) -> list[Recorded]:
        """The events at these sequences."""
        ...

    async def seq_at(self, at: datetime) -> LogSeq:
        """The last sequence stored at or before `at`, by the storing server's clock; 0 for none."""
        ...


class Snapshots(Protocol):
    """Snapshots of folds: position and state. Losing one only makes the next start slower."""

    async def load(self, name: str) -> tuple[LogSeq, Any] | None:
        """Position and state of snapshot `name`, or None."""
        ...

    async def latest(self, prefix: str, upto: LogSeq) -> tuple[LogSeq, Any] | None:
        """The snapshot with the highest position up to `upto`, of those whose name begins with `prefix`."""
        ...

    async def save(self, name: str, seq: LogSeq, state: Any) -> None:
        """Replace position and state; a position older than the stored one changes nothing."""
        ...
