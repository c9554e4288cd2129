"""What the domain and the parts around it need from outside, named by role.

Each port has one adapter per technology and one contract suite that every adapter passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from domain.claims import LockFact
from domain.events import OnRunnerLost
from domain.lock_read import LockEntry
from domain.log import Recorded
from domain.log_figures import LogFigures
from domain.task import Task
from domain.task_read import LockRead, TaskRead
from domain.wire import Heartbeat, Submission
from domain.workspaces import Registration


class AppendConflict(Exception):
    """Something else was appended first; load again and decide again. Nothing was recorded."""


class LogGap(Exception):
    """The log is not contiguous where it must be: a reader halts rather than fold a hole."""


@dataclass(slots=True)
class Stored:
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

    async def load(self, task_id: str) -> Stored | None:
        """The task, from the cache or in two bounded reads; None if the leader knows none."""
        ...

    async def load_at(self, task_id: str, seq: int) -> Stored | None:
        """The task as it was after `seq`; None where it did not exist then."""
        ...

    async def is_current(self, stored: Stored) -> bool:
        """Whether the leader's last event of the task is the one loaded; if not, the cache forgets it."""
        ...

    async def append(self, stored: Stored) -> Stored:
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

    async def last_seq_of(self, subject: str) -> int:
        """The sequence of the last event whose stored subject matches, from the leader; 0 without one."""
        ...

    async def page(self, after_seq: int, limit: int, subject: str | None = None) -> list[Recorded]:
        """Up to `limit` events behind `after_seq` whose stored subject matches `subject` (NATS wildcards)."""
        ...

    async def at(self, seqs: Sequence[int]) -> list[Recorded]:
        """The events at these sequences."""
        ...

    async def seq_at(self, at: datetime) -> int:
        """The last sequence stored at or before `at`, by the clock of whoever stores; 0 for none."""
        ...


LockDecision = Literal["granted", "refused", "waiting", "undecided"]


class OpenLocks(NamedTuple):
    """Claims that hold and that wait; `due`: workspaces in which the next fact could be appended now."""

    held: int
    waiting: int
    due: int


class LockView(Protocol):
    """This process's own fold of the locks and registrations, always a little behind the log."""

    @property
    def figures(self) -> LogFigures:
        """What was counted on the way."""
        ...

    def open_locks(self) -> OpenLocks:
        """How many claims are open, as far as it is folded."""
        ...

    @property
    def seq(self) -> int:
        """The last sequence folded."""
        ...

    async def caught_up(self, seq: int, timeout: float = 2.0) -> bool:
        """Wait until `seq` is folded; False if that took longer than `timeout` seconds."""
        ...

    async def granted(self, task_id: str, attempt: int, workspace: str) -> bool:
        """Whether this attempt holds its grant, decided on everything the leader has."""
        ...

    async def holding(self, task_id: str, attempt: int, workspace: str) -> int | None:
        """The fencing token this attempt holds, decided on everything the leader has; None if nothing."""
        ...

    async def registration(self, workspace: str) -> Registration | None:
        """The workspace's valid registration, decided on everything the leader has about it."""
        ...

    def seen_registration(self, workspace: str) -> Registration | None:
        """The workspace's valid registration as far as it is folded."""
        ...

    def lock_of(self, task: Task) -> LockRead:
        """The lock of the task's current attempt as far as it is folded."""
        ...

    async def decided(self, task_id: str, attempt: int, timeout: float = 2.0) -> LockDecision:
        """Wait until the lock projection has granted or refused this attempt, or it waits behind others.

        `undecided` after `timeout` seconds, or if the attempt has no open claim.
        """
        ...

    async def released(self, task_id: str, attempt: int, timeout: float = 2.0) -> bool:
        """Wait until this attempt holds nothing; False after `timeout` seconds."""
        ...

    def refusal(self, task_id: str, attempt: int) -> list[dict[str, Any]]:
        """Who was in the way of a recently refused attempt: `{"task_id", "attempt", "token"}` each."""
        ...

    def registrations(self) -> list[Registration]:
        """All valid workspace registrations, by id."""
        ...

    def entries(self, workspace: str | None = None) -> list[LockEntry]:
        """Holders and waiters: of one workspace (always one entry), or of all where anything is open."""
        ...


class Sealer(Protocol):
    """Keeps env values unreadable in the log."""

    def seal(self, task_id: str, env: dict[str, str]) -> dict[str, str]:
        """Names to sealed values."""
        ...

    def unseal(self, task_id: str, env: dict[str, str]) -> dict[str, str]:
        """Names to values.

        Raises:
            SealBroken: the key is another one or a value was changed.
        """
        ...


class SealBroken(Exception):
    """Sealed env values cannot be opened with this secret key."""


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """How a submission went. `queued`: a push runner has accepted; `sent`: it waits in a pool's queue."""

    queued: bool
    transport: str
    runner_id: str | None = None


class SubmitRejected(Exception):
    """The runner refused the submission for good; the message says why."""


class SubmitUnreachable(Exception):
    """Nobody accepted the submission; the message says why."""


class RunnerClient(Protocol):
    """Hands attempts to runners."""

    async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
        """Send one attempt; sending the same attempt again is harmless.

        Raises:
            SubmitRejected: the runner answered 4xx.
            SubmitUnreachable: no answer, or an answer that leaves it open.
        """
        ...

    async def cancel(self, task_id: str, attempt: int, pool: str) -> None:
        """Ask a push runner to stop; runners on NATS read the event themselves.

        Raises:
            SubmitUnreachable: the runner does not answer; ask again.
        """
        ...


class EventQueue(Protocol):
    """Events to be acted on, shared among any number of workers; each is handled at least once."""

    async def consume(self, handle: Callable[[Recorded], Awaitable[None]]) -> None:
        """Hand out events for ever; one whose handling fails comes again, in the end as a dead letter."""
        ...


class DueQueue(Protocol):
    """Deadlines that have come due, shared among any number of workers; each at least once."""

    async def consume(self, handle: Callable[[Due], Awaitable[None]]) -> None:
        """Hand out deadlines for ever."""
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
        """By name; None where nobody has begun to take from that queue."""
        ...


class Heartbeats(Protocol):
    """The last heartbeat of each runner."""

    async def publish(self, heartbeat: Heartbeat) -> None:
        """Store a heartbeat; returns once it is acknowledged. Refused if its counter went back."""
        ...

    async def all(self) -> list[tuple[Heartbeat, datetime]]:
        """The last heartbeat of every runner and when the broker stored it."""
        ...

    async def last(self, runner_id: str, within: float = 0.0) -> tuple[Heartbeat, datetime] | None:
        """A runner's last heartbeat from the leader, or as it was up to `within` seconds ago; None: none."""
        ...


class Checkpoints(Protocol):
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


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; None leaves a field open."""

    status: tuple[str, ...] = ()
    workspace: str | None = None
    pool: str | None = None
    label: tuple[str, str] | None = None
    created_after: datetime | None = None


class ReadModel(Protocol):
    """Tasks and grants in SQL, as of a position."""

    async def position(self) -> int:
        """The last sequence applied."""
        ...

    async def apply(self, events: Sequence[Recorded]) -> int:
        """Apply a contiguous batch and its position in one transaction; what was applied is passed over.

        Returns the new position.

        Raises:
            LogGap: the batch does not follow on the position.
        """
        ...

    async def reset(self) -> None:
        """Drop everything and start from an empty log."""
        ...

    async def get(self, task_id: str) -> TaskRead | None:
        """One task."""
        ...

    async def find(
        self, wanted: TaskFilter, limit: int, after: str | None
    ) -> tuple[list[TaskRead], str | None]:
        """Newest first. `after` is the opaque cursor of an earlier call; the second part is the next one."""
        ...

    async def count_by_status(self) -> dict[str, int]:
        """How many tasks there are in each status; 0 for those without.

        Raises:
            Busy: the database is away.
        """
        ...

    async def lock_history(self, workspace: str | None, task_id: str | None, limit: int) -> list[int]:
        """Sequences of recent lock facts of a workspace or a task, ascending."""
        ...
