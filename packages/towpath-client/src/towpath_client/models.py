"""Models of the API's answers, which keep unknown fields and accept new words of a status.

So a program goes on with a newer API. `model_extra` has the unknown fields.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from towpath_client.errors import TaskFailed


class _Word(str, Enum):
    """Words of the API; one that a newer API added becomes a member by itself."""

    @classmethod
    def _missing_(cls, value: object) -> _Word | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = value
        word._value_ = value
        return word

    def __str__(self) -> str:
        return str(self.value)


class Status(_Word):
    """A task's status: that of its current attempt."""

    CREATED = "created"
    DISPATCHED = "dispatched"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SUBMIT_FAILED = "submit-failed"


class LockState(_Word):
    """The state of an attempt's lock."""

    NONE = "none"
    WAITING = "waiting"
    HELD = "held"
    RELEASED = "released"


class Stage(_Word):
    """What a task waits for."""

    NOT_DISPATCHED = "not-dispatched"
    WAITS_FOR_LOCK = "waits-for-lock"
    WAITS_FOR_RUNNER = "waits-for-runner"
    WAITS_TO_START = "waits-to-start"
    RUNNING = "running"
    WAITS_FOR_ANSWER = "waits-for-answer"
    WAITS_TO_RETRY = "waits-to-retry"
    ENDED = "ended"


class QuestionState(_Word):
    """The state of a question; `CLOSED`: its attempt has ended or was asked to stop."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


_ENDED = frozenset((Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.SUBMIT_FAILED))


class _Read(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class TaskLock(_Read):
    """The lock of a task's current attempt; `token` is its fencing token."""

    state: LockState = LockState.NONE
    token: int | None = None
    since: datetime | None = None
    position: int | None = None
    blocked_by: list[str] = []


class Question(_Read):
    """A question of a job. `answer` is the choice or the text, `by` who gave it."""

    question_id: str
    text: str
    choices: list[str] | None = None
    free_text: bool = False
    asked_at: datetime
    expires_at: datetime | None = None
    default: str | None = None
    task_id: str | None = None
    attempt: int | None = None
    state: QuestionState = QuestionState.OPEN
    expired: bool = False
    answer: str | None = None
    by: str | None = None
    cause: str | None = None
    answered_at: datetime | None = None


class Task(_Read):
    """A task after the event at sequence `seq` of the log."""

    id: str
    title: str
    status: Status
    attempt: int
    command: list[str]
    workspace: str | None = None
    lock_paths: list[str] = []
    lock_mode: str = "exclusive"
    on_conflict: str = "wait"
    lock_wait_seconds: float | None = None
    pool: str = "default"
    labels: dict[str, str] = {}
    timeout_seconds: float | None = None
    timeout_pauses: bool = False
    retry: dict[str, Any] | None = None
    next_attempt_at: datetime | None = None
    created_at: datetime
    dispatched_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    message: str | None = None
    reason: str | None = None
    runner_id: str | None = None
    runner_state: str | None = None
    cancel_requested: bool = False
    question: Question | None = None
    output_tail: str | None = None
    lock: TaskLock = TaskLock()
    seq: int
    version: int

    @property
    def ended(self) -> bool:
        """Whether its current attempt has ended, and no retry follows."""
        return self.status in _ENDED and self.next_attempt_at is None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.status == Status.SUCCEEDED


class RunResult(_Read):
    """A task that has ended. `output` is the end of its output, at most 8 KiB; `Client.output` has all."""

    task: Task

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.task.status

    @property
    def exit_code(self) -> int | None:
        """Of its command; negative for a signal, None where it was not started."""
        return self.task.exit_code

    @property
    def output(self) -> str:
        """The end of its output."""
        return self.task.output_tail or ""

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.task.succeeded

    def check(self) -> RunResult:
        """This result, if the task succeeded.

        Raises:
            TaskFailed: it did not.
        """
        task = self.task
        if not self.ok:
            why = ", ".join(part for part in (task.reason, task.message) if part)
            raise TaskFailed(f"task {task.id} {task.status}" + (f": {why}" if why else ""))
        return self


class Step(_Read):
    """An event of the log: its sequence, and when the control plane recorded it."""

    seq: int
    at: datetime


class Attempt(_Read):
    """One attempt of a task. Steps that have not happened are None.

    From `claimed`, its dispatch, it waits for its lock until it is `granted` or `refused`. `started_at` and
    `finished_at` are the times that its runner reported.
    """

    attempt: int
    status: Status
    by: str
    pool: str
    runner_id: str | None = None
    claimed: Step
    granted: Step | None = None
    refused: Step | None = None
    queued: Step | None = None
    started: Step | None = None
    cancel_requested: Step | None = None
    ended: Step | None = None
    released: Step | None = None
    token: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None


class Event(_Read):
    """An event of the log. `seq` is its place in it; `data` depends on `type`."""

    seq: int
    id: str
    type: str
    event: str
    task_id: str | None = None
    workspace: str | None = None
    attempt: int | None = None
    version: int
    time: datetime
    actor: str
    chain: str = ""
    data: dict[str, Any] = {}


class TaskCount(_Read):
    """How many tasks match; `capped`: there are more than that, or may be."""

    count: int
    capped: bool
    by_status: dict[str, int]


class Holder(_Read):
    """An attempt that holds its lock."""

    task_id: str
    attempt: int
    runner_id: str | None = None
    paths: list[str]
    mode: str
    token: int
    since: datetime
    runner_state: str | None = None
    lease_until: datetime | None = None


class Waiter(_Read):
    """An attempt that waits; `position` 1 is next. `gives_up_at`: when its time to wait is over."""

    task_id: str
    attempt: int
    paths: list[str]
    mode: str
    position: int
    blocked_by: list[str] = []
    since: datetime
    gives_up_at: datetime | None = None


class WorkspaceLocks(_Read):
    """The locks of one workspace. Paths [] mean the whole workspace."""

    workspace: str
    holders: list[Holder]
    waiters: list[Waiter]


class Blocker(_Read):
    """A task that blocks another one: it holds (`token`) or waits itself."""

    task_id: str
    attempt: int
    title: str | None = None
    holds: bool
    paths: list[str]
    token: int | None = None
    runner_id: str | None = None
    since: datetime


class Why(_Read):
    """What a task waits for, or what ended it."""

    task_id: str
    status: Status
    attempt: int
    stage: Stage
    sentence: str
    since: datetime
    blocked_by: list[Blocker] = []
    event: dict[str, Any] = {}


class LocksReleased(_Read):
    """A lock that was released by hand. `released_paths`: ["."] for all of it, [] if nothing was held."""

    task_id: str
    released_paths: list[str]
    process_may_run: bool


class Workspace(_Read):
    """A registered workspace; `root` is its directory on the hosts."""

    id: str
    root: str


class HeldAttempt(_Read):
    """An attempt that a runner reports."""

    task_id: str
    attempt: int


class Runner(_Read):
    """A runner as of its last heartbeat; `state`: `alive`, `suspected` or `lost`."""

    id: str
    pools: list[str]
    host: str
    capacity: int
    running_attempts: list[HeldAttempt] = []
    awaiting_operator: list[HeldAttempt] = []
    last_heartbeat: datetime
    state: str


class OutputRange(_Read):
    """Bytes of an output. `attempt` 0: the task has none yet; `cut`: bytes left out of its middle."""

    attempt: int
    offset: int
    size: int
    complete: bool
    cut: int = 0
    content: bytes

    @property
    def next_offset(self) -> int:
        """Where the next range begins."""
        return self.offset + len(self.content)


class Wanted(_Read):
    """Whether a runner shall go on with an attempt."""

    task_id: str
    attempt: int
    wanted: str


class HeartbeatAnswer(_Read):
    """The answer to a heartbeat; `lease_seconds` counts from its sending."""

    wanted: list[Wanted] = []
    lease_seconds: float = Field(default=15.0, gt=0)
