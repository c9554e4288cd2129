"""TaskRead: the view of a task that commands, callbacks and queries answer with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from domain.identifiers import FencingToken, LogSeq, RunnerId, TaskId, WorkspaceId
from domain.locks.claims import Grant, Waiter
from domain.log.events import OnConflict, RetryPolicy
from domain.protocol import ExecutionMode, LockMode, RunnerState
from domain.task.aggregate import Task
from domain.task.question import QuestionRead, question_read
from domain.task.transitions import Status

LockState = Literal["none", "waiting", "held", "released"]


class LockRead(BaseModel):
    """The lock of the current attempt. `token` is the fencing token; `since`, when this state began."""

    state: LockState = "none"
    token: FencingToken | None = None
    since: datetime | None = None
    position: int | None = None
    blocked_by: list[TaskId] = []


class TaskRead(BaseModel):
    """A task after the event at stream sequence `seq`; `lock` may lag behind it.

    `next_attempt_at`: when the next attempt begins automatically, after one that has ended; until then the
    task is not over. `question` is what the job waits to be told.
    Only `GET /tasks/{id}` fills `runner_state`, and only for an attempt whose runner sends heartbeats.
    """

    id: TaskId
    title: str
    status: Status
    attempt: int
    command: list[str]
    execution_mode: ExecutionMode
    workspace: WorkspaceId | None
    lock_paths: list[str]
    lock_mode: LockMode
    on_conflict: OnConflict
    lock_wait_seconds: float | None = None
    pool: str
    labels: dict[str, str]
    timeout_seconds: float | None
    timeout_pauses: bool = False
    retry: RetryPolicy | None = None
    next_attempt_at: datetime | None = None
    created_at: datetime
    dispatched_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    message: str | None
    reason: str | None
    runner_id: RunnerId | None
    runner_state: RunnerState | None = None
    cancel_requested: bool
    question: QuestionRead | None = None
    output_tail: str | None
    lock: LockRead
    seq: LogSeq
    version: int


NO_LOCK = LockRead()


def held(grant: Grant) -> LockRead:
    """The lock of an attempt that holds `grant`."""
    return LockRead(state="held", token=grant.token, since=datetime.fromisoformat(grant.since))


def waiting(waiter: Waiter) -> LockRead:
    """The lock of a waiting attempt."""
    return LockRead(
        state="waiting",
        since=datetime.fromisoformat(waiter.claim.since),
        position=waiter.position,
        blocked_by=list(waiter.blocked_by),
    )


def task_read(task: Task, seq: LogSeq, lock: LockRead = NO_LOCK) -> TaskRead:
    """The view of `task` after the event at `seq`."""
    spec = task.spec
    return TaskRead(
        id=task.id,
        title=spec.title,
        status=task.status,
        attempt=task.attempt,
        command=spec.command,
        execution_mode=spec.execution_mode,
        workspace=spec.workspace,
        lock_paths=spec.lock_paths,
        lock_mode=spec.lock_mode,
        on_conflict=spec.on_conflict,
        lock_wait_seconds=spec.lock_wait_seconds,
        pool=spec.pool,
        labels=spec.labels,
        timeout_seconds=spec.timeout_seconds,
        timeout_pauses=spec.timeout_pauses,
        retry=spec.retry,
        next_attempt_at=task.next_attempt_at,
        created_at=task.created_on,
        dispatched_at=task.dispatched_at,
        queued_at=task.queued_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        exit_code=task.exit_code,
        message=task.message,
        reason=task.reason,
        runner_id=task.runner_id,
        cancel_requested=task.cancel_requested,
        question=question_read(task.open_question),
        output_tail=task.output_tail,
        lock=lock,
        seq=seq,
        version=task.version,
    )
