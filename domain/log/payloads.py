"""Event payloads: the stored JSON of each event as a TypedDict, for folds.

A fold reads millions of events and must not build a model for each. Once it has looked at the event's type,
it annotates the payload (`data: GrantedPayload = event.data`). That costs nothing at run time, and the type
checker checks the keys. The models in `domain.log.events` validate; a test compares their fields with these.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from domain.identifiers import FencingToken, LogSeq, RunnerId, TaskId, WorkspaceId
from domain.log.events import (
    AnswerCause,
    OnConflict,
    OnRunnerLost,
    RefusedReason,
    RetryReason,
    SubmitFailedReason,
    Transport,
)
from domain.protocol import ExecutionMode, FailedReason, LockMode


class NamingPayload(TypedDict, total=False):
    """The fields by which an event names a task or a workspace that its subject does not."""

    task_id: TaskId
    workspace: WorkspaceId | None


class PlacePayload(TypedDict):
    """What `registered` and `dispatched` tell of paths."""

    root: str | None
    lock_paths: NotRequired[list[str]]


class RetryPayload(TypedDict):
    max_attempts: int
    backoff_seconds: float
    on: list[RetryReason]


class CreatedPayload(TypedDict):
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
    lock_wait_seconds: NotRequired[float]
    secrets: NotRequired[dict[str, str]]
    timeout_pauses: NotRequired[bool]
    retry: NotRequired[RetryPayload]


class AttemptPayload(TypedDict):
    """The common field of all events of an attempt."""

    attempt: int


class DispatchedPayload(AttemptPayload):
    """`root` is null if and only if `workspace` is."""

    pool: str
    workspace: WorkspaceId | None
    root: str
    registration_seq: LogSeq | None
    lock_paths: list[str]
    lock_mode: LockMode
    on_conflict: OnConflict
    by: str
    lock_wait_seconds: NotRequired[float]
    on_runner_lost: NotRequired[str]


class BoundPayload(AttemptPayload):
    """Common fields of `queued` and `running`."""

    runner_id: RunnerId | None
    instance: NotRequired[str]


class QueuedPayload(BoundPayload):
    transport: Transport


class RunningPayload(BoundPayload):
    started_at: str
    pid: int | None


class EndedPayload(TypedDict):
    """Common fields of `succeeded`, `failed` and `canceled`."""

    runner_id: RunnerId | None
    message: str | None
    finished_at: str
    output_tail: str | None


class SucceededPayload(EndedPayload):
    attempt: int
    exit_code: int | None


class FailedPayload(SucceededPayload):
    reason: FailedReason


class CancelRequestedPayload(AttemptPayload):
    by: str
    reason: str | None


class CanceledPayload(EndedPayload):
    attempt: int | None
    by: str
    reason: str | None


class SubmitFailedPayload(AttemptPayload):
    reason: SubmitFailedReason
    message: str | None


class ToldPayload(TypedDict, total=False):
    """Fields for people of `submit-failed` and the ends of an attempt; each event has some of them."""

    exit_code: int | None
    reason: str | None
    message: str | None


class LockReleaseRequestedPayload(AttemptPayload):
    token: FencingToken
    by: str
    reason: str


class AskedPayload(AttemptPayload):
    question_id: str
    text: str
    choices: list[str] | None
    free_text: bool
    expires_at: str | None
    default: str | None
    runner_id: str | None


class AnsweredPayload(AttemptPayload):
    question_id: str
    choice: str | None
    text: str | None
    by: str
    cause: AnswerCause


class RemovedPayload(TypedDict):
    by: str
    reason: str | None


class RegisteredPayload(TypedDict):
    root: str
    on_runner_lost: OnRunnerLost
    by: str


class LockPayload(TypedDict):
    """Common fields of all lock events."""

    task_id: TaskId
    attempt: int
    paths: list[str]
    seen_seq: LogSeq


class GrantedPayload(LockPayload):
    root: str
    mode: LockMode


class HolderPayload(TypedDict):
    task_id: TaskId
    attempt: int
    token: FencingToken | None


class RefusedPayload(GrantedPayload):
    holders: list[HolderPayload]
    reason: RefusedReason
    valid_root: str | None


class ReleasedPayload(LockPayload):
    cause: str
    cause_seq: LogSeq
    by: str
