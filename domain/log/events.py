"""The events of the log as data: one frozen model per event type, version 1 of each.

Type names are chosen, never derived from Python names: `towpath.task.running.v1` is never renamed. Field
names carry units. Every model validates on reading, so a stored event that no longer fits its model is
detected there. Golden files in the tests pin the stored bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.identifiers import FencingToken, LogSeq, RunnerId, TaskId, WorkspaceId
from domain.protocol import ExecutionMode, FailedReason, LockMode

Kind = Literal["task", "lock", "workspace"]
OnConflict = Literal["wait", "reject"]
OnRunnerLost = Literal["fail", "hold"]
Transport = Literal["http", "nats"]
RefusedReason = Literal["workspace-locked", "workspace-changed"]
AnswerCause = Literal["person", "expired"]
RetryReason = Literal["no-runner", "unreachable", "runner-lost", "deadline", "exit"]
SubmitFailedReason = Literal[
    "no-runner", "rejected", "unreachable", "workspace-locked", "workspace-changed", "deadline"
]


def _absent(value: Any) -> bool:
    return value is None


def _empty(value: Any) -> bool:
    return not value


Added = Annotated[float | None, Field(default=None, exclude_if=_absent)]
"""A number that was added later: while it is None, it is not stored, and the stored bytes are as before."""
AddedMap = Annotated[dict[str, str], Field(exclude_if=_empty)]
"""A map that was added later: an empty one is not stored."""
AddedFlag = Annotated[bool, Field(exclude_if=_empty)]
"""A flag that was added later: false is not stored."""
AddedText = Annotated[str | None, Field(default=None, exclude_if=_absent)]
"""A text that was added later: None is not stored."""


class EventData(BaseModel):
    """Base of all event data. Unknown fields are ignored, so that events of a newer version can be read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RetryPolicy(EventData):
    """After which ends another attempt follows by itself, up to attempt `max_attempts`.

    The first pause is `backoff_seconds`; each later one is twice as long.
    """

    max_attempts: int
    backoff_seconds: float
    on: list[RetryReason]


AddedRetry = Annotated[RetryPolicy | None, Field(default=None, exclude_if=_absent)]
"""A retry policy, which was added later: None is not stored."""


class CreatedData(EventData):
    """A task exists. Values of `env` and `secrets` are encrypted; `lock_paths` are normalised.

    No lock path means the whole workspace. `secrets` are variables like `env`; runners mask their values.
    """

    title: str
    command: list[str]
    execution_mode: ExecutionMode
    workspace: WorkspaceId | None
    lock_paths: list[str]
    lock_mode: LockMode
    on_conflict: OnConflict
    pool: str
    env: dict[str, str]
    timeout_seconds: float | None
    labels: dict[str, str]
    lock_wait_seconds: Added = None
    secrets: AddedMap = {}
    timeout_pauses: AddedFlag = False
    retry: AddedRetry = None


class DispatchedData(EventData):
    """An attempt begins. The event carries the whole claim, so that a fold of the locks needs no other event.

    `root` and `registration_seq` pin the workspace's registration at this moment. `on_runner_lost` is stored
    for a task with retries if it is `hold`: the loss of its runner is not retried.
    """

    attempt: int
    pool: str
    workspace: WorkspaceId | None
    root: str | None
    registration_seq: LogSeq | None
    lock_paths: list[str]
    lock_mode: LockMode
    on_conflict: OnConflict
    by: str
    lock_wait_seconds: Added = None
    on_runner_lost: AddedText = None


class QueuedData(EventData):
    """`instance`, if the runner sends one, tells runners with the same id apart; only it has the attempt."""

    attempt: int
    runner_id: RunnerId | None
    transport: Transport
    instance: AddedText = None


class RunningData(EventData):
    attempt: int
    runner_id: RunnerId | None
    started_at: datetime
    pid: int | None
    instance: AddedText = None


class SucceededData(EventData):
    attempt: int
    runner_id: RunnerId | None
    exit_code: int | None
    message: str | None
    finished_at: datetime
    output_tail: str | None


class FailedData(SucceededData):
    reason: FailedReason


class CancelRequestedData(EventData):
    attempt: int
    by: str
    reason: str | None


class CanceledData(EventData):
    """`attempt` is null for a task that was never dispatched."""

    attempt: int | None
    by: str
    reason: str | None
    runner_id: RunnerId | None
    message: str | None
    finished_at: datetime
    output_tail: str | None


class SubmitFailedData(EventData):
    attempt: int
    reason: SubmitFailedReason
    message: str | None


class LockReleaseRequestedData(EventData):
    """An operator requests the release of the grant with the fencing token `token`, and of no other."""

    attempt: int
    token: FencingToken
    by: str
    reason: str


class AskedData(EventData):
    """A running attempt asks a person. `default` stands as the answer once `expires_at` is over."""

    attempt: int
    question_id: str
    text: str
    choices: list[str] | None
    free_text: bool
    expires_at: datetime | None
    default: str | None
    runner_id: str | None


class AnsweredData(EventData):
    """`choice` or `text` is given. `expired`: it is the question's default, recorded at its deadline."""

    attempt: int
    question_id: str
    choice: str | None
    text: str | None
    by: str
    cause: AnswerCause


class RegisteredData(EventData):
    root: str
    on_runner_lost: OnRunnerLost
    by: str


class RemovedData(EventData):
    by: str
    reason: str | None


class Holder(EventData):
    """A claim that blocks a refused one; `token` is null if it waits itself."""

    task_id: TaskId
    attempt: int
    token: FencingToken | None


class GrantedData(EventData):
    """The event's own stream sequence is the fencing token. `seen_seq`: how far its decider had folded."""

    task_id: TaskId
    attempt: int
    root: str
    paths: list[str]
    mode: LockMode
    seen_seq: LogSeq


class RefusedData(GrantedData):
    """`workspace-locked`: `holders` block the claim, and `valid_root` is the claim's own root.

    `workspace-changed`: at the position of `dispatched` the workspace's root was `valid_root` (null: it was
    not registered).
    """

    holders: list[Holder]
    reason: RefusedReason
    valid_root: str | None


class ReleasedData(EventData):
    """`cause` is the event that ended the attempt, or `operator`; `cause_seq` its stream sequence."""

    task_id: TaskId
    attempt: int
    paths: list[str]
    cause: str
    cause_seq: LogSeq
    by: str
    seen_seq: LogSeq


EVENTS: Mapping[tuple[Kind, str], type[EventData]] = {
    ("task", "created"): CreatedData,
    ("task", "dispatched"): DispatchedData,
    ("task", "queued"): QueuedData,
    ("task", "running"): RunningData,
    ("task", "succeeded"): SucceededData,
    ("task", "failed"): FailedData,
    ("task", "cancel-requested"): CancelRequestedData,
    ("task", "canceled"): CanceledData,
    ("task", "submit-failed"): SubmitFailedData,
    ("task", "lock-release-requested"): LockReleaseRequestedData,
    ("task", "asked"): AskedData,
    ("task", "answered"): AnsweredData,
    ("workspace", "registered"): RegisteredData,
    ("workspace", "removed"): RemovedData,
    ("lock", "granted"): GrantedData,
    ("lock", "refused"): RefusedData,
    ("lock", "released"): ReleasedData,
}


def type_name(kind: Kind, event: str) -> str:
    """The stored type, e.g. `towpath.task.running.v1`."""
    return f"towpath.{kind}.{event}.v1"
