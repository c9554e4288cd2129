"""Port `ReadModel`: tasks and lock history for queries, folded from the log and rebuildable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from domain.identifiers import LogSeq, RunnerId, TaskId, WorkspaceId
from domain.locks.history import ClaimRead
from domain.log.position import Position
from domain.log.record import Recorded
from domain.task.view import TaskRead


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; None matches any value.

    `id_part` is the beginning or the end of an id, of at least 4 characters. It serves to name one task: if
    very many ids match, only some are searched. `asking`: whether its job waits for an answer. `ids`: only
    these. `words`: each is in the title, in any case. `lock`: `waiting` or `held` by the current attempt.
    `on_request`: whether its end was asked for (`domain.task.requested_end`).
    """

    status: tuple[str, ...] = ()
    workspace: WorkspaceId | None = None
    pool: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    created_after: datetime | None = None
    id_part: str | None = None
    asking: bool | None = None
    runner: str | None = None
    reason: str | None = None
    created_before: datetime | None = None
    finished_after: datetime | None = None
    finished_before: datetime | None = None
    ids: tuple[TaskId, ...] = ()
    words: tuple[str, ...] = ()
    exit_code: int | None = None
    lock: str | None = None
    min_attempt: int | None = None
    on_request: bool | None = None
    oldest_first: bool = False


class TaskCounts(NamedTuple):
    """How many matching tasks are in each status, 0 left out; `capped`: there are more, or may be."""

    by_status: dict[str, int]
    capped: bool


class TaskState(NamedTuple):
    """A task's status, and the workspace that it is for."""

    status: str
    workspace: WorkspaceId | None


class UnconfirmedCancel(NamedTuple):
    """A task whose attempt was asked to stop at `asked_at` and has not ended."""

    id: TaskId
    title: str
    runner_id: RunnerId | None
    asked_at: datetime


class PastClaim(NamedTuple):
    """A claim as it is, and the sequence from which its runner was known."""

    read: ClaimRead
    bound_seq: LogSeq | None


class OpenQuestions(NamedTuple):
    """How many questions jobs wait to be answered; when the oldest was asked, and by which task."""

    number: int
    oldest: datetime | None
    task_id: TaskId | None = None


class Failures(NamedTuple):
    """Tasks that failed and were not tried again: by runner, most first, and by status; the newest titles.

    `on_request` counts apart those that a person wanted so: the lock was refused because the task does not
    wait for one, the attempt was to be stopped, or a key of the terminal ended the command of `towpath lock`.
    """

    by_runner: list[tuple[RunnerId | None, int]]
    by_status: dict[str, int]
    newest: list[str]
    on_request: int

    @property
    def number(self) -> int:
        """How many failed, without those on request."""
        return sum(self.by_status.values())


class EventSeqs(NamedTuple):
    """Sequences of events, none of which is missing up to `position`."""

    seqs: list[LogSeq]
    position: LogSeq


class ReadModel(Protocol):
    """Tasks and lock history in SQL, as of a log position."""

    async def position(self) -> LogSeq:
        """The last sequence applied."""
        ...

    async def stands_at(self) -> Position:
        """The last sequence applied, with the id of the event there."""
        ...

    async def apply(self, events: Sequence[Recorded]) -> LogSeq:
        """Apply a contiguous batch and its position in one transaction; events applied before are skipped.

        Returns the new position.

        Raises:
            LogGap: the batch does not follow directly after the position.
        """
        ...

    async def reset(self) -> None:
        """Delete all rows and set the position to 0."""
        ...

    async def get(self, task_id: TaskId) -> TaskRead | None:
        """One task, or None."""
        ...

    async def states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]:
        """The states of those of the tasks `ids`, some thousand at most, that exist.

        Raises:
            Busy: the database is away.
        """
        ...

    async def find(
        self, wanted: TaskFilter, limit: int, after: str | None, *, brief: bool = False
    ) -> tuple[list[TaskRead], str | None]:
        """Matching tasks in the wanted order, and the next page's cursor; `after` is that to go on from.

        A page may be short, even empty, and have a cursor, since a bounded number of tasks is looked at.
        `brief`: with empty `command`, `message` and `output_tail`.
        """
        ...

    async def count_by_status(self) -> dict[str, int]:
        """The number of tasks in each status, 0 included.

        Raises:
            Busy: the database is unreachable.
        """
        ...

    async def count(self, wanted: TaskFilter, most: int) -> TaskCounts:
        """Count matching tasks; of more than `most` the first `most` + 1.

        Raises:
            Busy: the database is unreachable.
        """
        ...

    async def failures_since(self, at: datetime, most: int) -> Failures:
        """The tasks that failed since `at` and were not tried again, of very many the newest `most`.

        Raises:
            Busy: the database is away.
        """
        ...

    async def unconfirmed_cancels(self, before: datetime, most: int) -> list[UnconfirmedCancel]:
        """Attempts that were asked to stop before `before` and have not ended, the longest first.

        Raises:
            Busy: the database is away.
        """
        ...

    async def open_questions(self, now: datetime) -> OpenQuestions:
        """How many jobs wait for an answer at `now`; not those whose question expired without a default.

        Raises:
            Busy: the database is away.
        """
        ...

    async def created_upto(
        self, upto: LogSeq, behind: TaskId | None, limit: int, *, oldest_first: bool = False
    ) -> list[TaskRead]:
        """At most `limit` of the tasks created at or before `upto`, in this order, after the task `behind`.

        None where the read model has no task `behind`.
        """
        ...

    async def claims(
        self, workspace: WorkspaceId, after: LogSeq, before: LogSeq, limit: int
    ) -> list[PastClaim]:
        """The `limit` newest claims of a workspace made after `after` and before `before`, newest first."""
        ...

    async def lock_history(
        self, workspace: WorkspaceId | None, task_id: TaskId | None, limit: int
    ) -> list[LogSeq]:
        """Sequences of the newest `limit` lock events of a workspace or a task, ascending."""
        ...

    async def event_seqs(
        self, names: Sequence[str], after: LogSeq, before: LogSeq, limit: int, *, newest: bool = False
    ) -> EventSeqs:
        """The first `limit` events of these names after `after` and before `before`; or the newest ones.

        Raises:
            Busy: the database is unreachable.
        """
        ...
