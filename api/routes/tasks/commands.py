"""Commands on a task: dispatch, cancel, release its locks by hand.

A response waits at most two seconds for the lock projection, so that the caller learns whether the lock was
granted; the wait changes nothing that is recorded.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.auth import Actor, GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.tasks.task_view import shown, task_response
from api.schema.openapi import problems
from domain.errors import Refused
from domain.identifiers import CheckedTaskId, FencingToken, TaskId
from domain.protocol import MAX_COUNTER, WHOLE, Shown
from domain.task.transitions import Status
from domain.task.view import TaskRead

WAIT_SECONDS = 2.0
WHOLE_WORKSPACE = "."

router = APIRouter(route_class=GuardedRoute, tags=["tasks"])


AttemptSeen = Annotated[
    int,
    Field(
        ge=0,
        lt=2**31,
        description="the attempt that you saw, 0 before the first: 409 `changed` if another is current",
    ),
    WHOLE,
]
CancelReason = Annotated[Shown, Field(max_length=500)]


class DispatchBody(BaseModel):
    """On which condition the next attempt begins."""

    model_config = ConfigDict(extra="forbid")

    attempt: AttemptSeen | None = None


class CancelBody(BaseModel):
    """Why a task is canceled, and on which condition."""

    model_config = ConfigDict(extra="forbid")

    reason: CancelReason | None = None
    attempt: AttemptSeen | None = None


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("say why; it stays in the log")
    return value.strip()


class ReleaseBody(BaseModel):
    """Why a lock is released by hand; recorded in the log."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[
        Shown,
        AfterValidator(_said),
        Field(min_length=1, max_length=500, json_schema_extra={"pattern": r"\S"}),
    ]
    token: Annotated[FencingToken, Field(ge=0, le=MAX_COUNTER), WHOLE] | None = Field(
        default=None, description="the token that you saw: 409 `changed` unless it is held"
    )


class LocksReleased(BaseModel):
    """The released lock. `released_paths` is ["."] for the whole workspace and [] if nothing was held."""

    task_id: TaskId
    released_paths: list[str]
    process_may_run: bool = Field(
        description="a process of the attempt may still be writing where its lock was freed, now or before"
    )


async def dispatch_and_wait(
    parts: ApiParts, task_id: TaskId, actor: str, *, first: bool = False, attempt: int | None = None
) -> TaskRead:
    """Begin the next (or only the `first`) attempt and wait until the lock projection has decided about it.

    Raises:
        Refused: also `workspace-locked`, with the `holders`, if the claim was refused, and
        `workspace-changed`, if the workspace was moved or removed just before `dispatched` was stored; the
        attempt then ends `submit-failed`.
    """
    stored = await parts.commands.dispatch(task_id, actor, first=first, attempt=attempt)
    task, attempt = stored.task, stored.task.attempt
    read = shown(parts, stored)
    if not task.needs_lock:
        return read
    decision = await parts.view.decided(task_id, attempt, WAIT_SECONDS)
    void = parts.view.void_dispatch(task_id, attempt)
    if void is not None:
        refusal = void.refusal()
        refusal.extra |= {"task_id": task_id, "attempt": attempt}
        raise refusal
    if decision == "refused":
        raise Refused(
            "workspace-locked",
            "others hold or wait for these paths; dispatch again later, or use on_conflict `wait`",
            {"task_id": task_id, "attempt": attempt, "holders": parts.view.refusal(task_id, attempt)},
        )
    if task.attempt == attempt:
        read.lock = parts.view.lock_of(task)
    return read


@router.post(
    "/tasks/{task_id}/dispatch",
    status_code=202,
    response_model=TaskRead,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(400, 404, 409, 413, 415, 503, 507),
)
async def dispatch_task(
    task_id: CheckedTaskId, parts: Parts, actor: Actor, body: Annotated[DispatchBody | None, Body()] = None
) -> Response:
    """Begin the next attempt; 409 with the holders if the task rejects a conflict."""
    seen = body.attempt if body else None
    return task_response(await dispatch_and_wait(parts, task_id, actor, attempt=seen), 202)


@router.post(
    "/tasks/{task_id}/cancel",
    status_code=202,
    response_model=TaskRead,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(400, 404, 409, 413, 415, 503),
)
async def cancel_task(
    task_id: CheckedTaskId, parts: Parts, actor: Actor, body: Annotated[CancelBody | None, Body()] = None
) -> Response:
    """Cancel at once if nothing can have started, else ask the runner to stop."""
    given = body or CancelBody()
    stored = await parts.commands.cancel(task_id, given.reason, actor, attempt=given.attempt)
    return task_response(shown(parts, stored), 202)


@router.post(
    "/tasks/{task_id}/locks/release",
    response_model=LocksReleased,
    openapi_extra=needs(Role.OPERATOR),
    responses={
        202: {"model": LocksReleased, "description": "requested; `released` is not in the log yet"},
        **problems(400, 404, 409, 413, 415, 503),
    },
)
async def release_locks(
    task_id: CheckedTaskId, body: ReleaseBody, response: Response, parts: Parts, actor: Actor
) -> Any:
    """Release by hand what the current attempt holds: the only way to release a lock under a live process."""
    release = await parts.commands.release_locks(task_id, body.reason, actor, token=body.token)
    if release is None:
        task = (await parts.commands.read(task_id)).task
        freed = task.release_requested and task.is_open(task.attempt, Status.QUEUED, Status.RUNNING)
        return LocksReleased(task_id=task_id, released_paths=[], process_may_run=freed)
    if not await parts.view.released(task_id, release.attempt, WAIT_SECONDS):
        response.status_code = 202
    return LocksReleased(
        task_id=task_id,
        released_paths=release.paths or [WHOLE_WORKSPACE],
        process_may_run=release.process_may_run,
    )
