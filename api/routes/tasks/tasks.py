"""Tasks: create, read (from the log), list (from the read model), explain.

`GET /tasks/{id}` is confirmed by the leader, so it never shows less than an earlier answer did; a list
may lag behind the log by the read model's delay. Creating with a client's `id` may be repeated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, WithJsonSchema

from api.auth import Actor, GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.as_of import read_model_as_of, set_as_of
from api.queries.event_pages import EventPages
from api.queries.paging import Cursor, Page, PageQuery, link_next
from api.queries.positions import Point, position_at
from api.queries.runner_status import show_runner_state
from api.queries.tasks.past_tasks import tasks_at
from api.queries.tasks.reasons import why_at, why_now
from api.queries.tasks.task_filters import TasksWanted
from api.queries.tasks.task_rows import LEFT_OUT, TaskRows, show_waiting
from api.queries.tasks.task_view import shown, task_response
from api.queries.time_travel import task_at
from api.routes.tasks.commands import dispatch_and_wait
from api.schema.openapi import problems
from domain.errors import DomainError, Refused
from domain.identifiers import (
    CheckedTaskId,
    TaskId,
)
from domain.ports.log import StoredTask
from domain.task.explain import Why
from domain.task.spec import TaskSpec
from domain.task.transitions import Status
from domain.task.view import TaskRead

MOST_COUNTED = 10_000

router = APIRouter(route_class=GuardedRoute, tags=["tasks"])


TaskCursor = Annotated[Cursor, WithJsonSchema({"type": "string", "format": "task-cursor", "maxLength": 500})]


class TaskQuery(TasksWanted, PageQuery):
    """Filters of `GET /tasks`, and which page."""

    cursor: TaskCursor | None = None
    at: Point | None = Field(
        default=None, description="the tasks in their state after this sequence or time; filters hold for it"
    )
    order: Literal["newest", "oldest"] = Field(default="newest", description="by creation, this first")
    view: Literal["full", "row"] = Field(
        default="full", description=f"`row`: without {', '.join(f'`{one}`' for one in sorted(LEFT_OUT))}"
    )


class TaskCount(BaseModel):
    """How many tasks a filter finds, as of the read model's position."""

    count: int = Field(description=f"exact up to {MOST_COUNTED}")
    capped: bool = Field(
        description=f"there are more than {MOST_COUNTED}, or more may be: too many tasks had to be looked at"
    )
    by_status: dict[Status, int] = Field(
        description=f"without zeros; if `capped`, of the newest {MOST_COUNTED} and one more"
    )


@router.post(
    "/tasks",
    status_code=201,
    response_model=TaskRead,
    openapi_extra=needs(Role.OPERATOR),
    responses={
        200: {"model": TaskRead, "description": "the same `id` and content again: the task that is there"},
        **problems(400, 404, 409, 413, 415, 503, 507),
    },
)
async def create_task(
    spec: TaskSpec,
    parts: Parts,
    actor: Actor,
    dispatch: Annotated[bool, Query(description="also begin the first attempt")] = False,
) -> Response:
    """Create a task. With a client's `id` the request may be sent again: 200 and the same task."""
    task_id = spec.id or parts.new_task_id()
    stored, created = await parts.commands.create(task_id, spec, actor)
    read = shown(parts, stored)
    if dispatch and stored.task.attempt == 0 and not stored.task.ended:
        read = await _dispatch_new(parts, stored, actor)
    headers = {"Location": f"/tasks/{task_id}"}
    return task_response(read, 201 if created else 200, headers)


async def _dispatch_new(parts: ApiParts, stored: StoredTask, actor: str) -> TaskRead:
    """Begin the first attempt; a concurrent repetition of the request may have done so already."""
    task_id = stored.task.id
    try:
        return await dispatch_and_wait(parts, task_id, actor, first=True)
    except DomainError as error:
        if isinstance(error, Refused) and error.code in ("already-dispatched", "stale-attempt"):
            return shown(parts, await parts.commands.read(task_id))
        error.extra.setdefault("task_id", task_id)
        raise


@router.get(
    "/tasks",
    response_model=Page[TaskRead] | TaskRows,
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def list_tasks(request: Request, parts: Parts, query: Annotated[TaskQuery, Query()]) -> Response:
    """List tasks as of the read model's position.

    A page may be short, even empty, and still have a `next_cursor`: very large tasks end it early, and for
    filters that no index serves, or with `at`, a bounded number of tasks is looked at. The place and blockers
    of waiting locks are those of this process.
    """
    wanted, brief = replace(query.wanted(), oldest_first=query.order == "oldest"), query.view == "row"
    if query.at is not None:
        pages: EventPages = request.app.state.event_pages
        seq = await position_at(parts, query.at)
        set_as_of(request, seq)
        found, cursor = await tasks_at(parts, pages, wanted, seq, query.limit, query.cursor)
    else:
        await read_model_as_of(request, parts)
        found, cursor = await parts.read_model.find(wanted, query.limit, query.cursor, brief=brief)
        show_waiting(parts, found)
    page = Page[TaskRead].model_construct(items=found, next_cursor=cursor)
    body = page.model_dump_json(exclude={"items": {"__all__": LEFT_OUT}} if brief else None)
    answer = Response(body, media_type="application/json")
    link_next(request, answer, cursor)
    return answer


@router.get(
    "/tasks/count",
    response_model=TaskCount,
    openapi_extra=needs(Role.VIEWER),
    responses=problems(503),
)
async def count_tasks(request: Request, parts: Parts, query: Annotated[TasksWanted, Query()]) -> Any:
    """Count tasks; exact up to 10,000, so that the cost is bounded."""
    await read_model_as_of(request, parts)
    found = await parts.read_model.count(query.wanted(), MOST_COUNTED)
    total = min(sum(found.by_status.values()), MOST_COUNTED)
    return TaskCount.model_validate({"count": total, "capped": found.capped, "by_status": found.by_status})


@router.get(
    "/tasks/{task_id}",
    response_model=TaskRead,
    openapi_extra=needs(Role.VIEWER, job=True),
    responses=problems(404, 503),
)
async def get_task(
    request: Request, task_id: CheckedTaskId, parts: Parts, at: Annotated[Point | None, Query()] = None
) -> Response:
    """One task in its present state from the log's leader; with `at`, its state and lock at that time."""
    if at is not None:
        pages: EventPages = request.app.state.event_pages
        seq = await position_at(parts, at)
        set_as_of(request, seq)
        return task_response(await task_at(parts, pages, task_id, seq), 200)
    return task_response(await _task_now(parts, task_id), 200)


@router.get(
    "/tasks/{task_id}/why",
    response_model=Why,
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def why(
    request: Request, task_id: CheckedTaskId, parts: Parts, at: Annotated[Point | None, Query()] = None
) -> Any:
    """What the task waits for, or what ended it, in a sentence: now, or `at` another time."""
    pages: EventPages = request.app.state.event_pages
    if at is None:
        return await why_now(parts, pages, await _task_now(parts, task_id))
    seq = await position_at(parts, at)
    set_as_of(request, seq)
    return await why_at(parts, pages, task_id, seq)


async def _task_now(parts: ApiParts, task_id: TaskId) -> TaskRead:
    stored = await parts.commands.read(task_id)
    read = shown(parts, stored)
    if read.workspace is not None and read.finished_at is not None and read.lock.state == "none":
        await _recall_lock(parts, read)
    await show_runner_state(parts, stored.task, read)
    return read


async def _recall_lock(parts: ApiParts, read: TaskRead) -> None:
    """Set a lock that was released so long ago that only the read model has it."""
    remembered = await parts.read_model.get(read.id)
    if remembered is not None and remembered.attempt == read.attempt:
        read.lock = remembered.lock
