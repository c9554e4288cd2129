"""Workspaces: registrations, holders and waiters.

A single registration is confirmed by the leader; lists and locks come from this process's fold, a few
milliseconds behind the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Actor, GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.as_of import set_as_of
from api.queries.lock_entries import entries_json, in_slices
from api.queries.paging import Page, PageQuery, cut, encode_cursor, link_next
from api.queries.positions import Point, position_at
from api.queries.runner_status import seen_runners
from api.queries.time_travel import entries_of
from api.schema.openapi import problems
from domain.identifiers import CheckedWorkspaceId, LogSeq, WorkspaceId
from domain.locks.judging import Void, VoidReason
from domain.locks.table import LockTable
from domain.locks.view import EntryPicture, LockEntry, SeeRunner
from domain.locks.workspace_locks import OpenSize
from domain.log.events import OnRunnerLost
from domain.protocol import Shown
from domain.task.spec import Text
from domain.workspaces.paths import MAX_PATH_CHARS
from domain.workspaces.registry import Registration, not_registered

PAGE_PATHS = 300_000
"""Limit of claims and paths on one page of `GET /locks`."""

router = APIRouter(route_class=GuardedRoute, tags=["workspaces"])


class WorkspaceBody(BaseModel):
    """A registration: an absolute directory, and the policy for a runner that is lost there."""

    model_config = ConfigDict(extra="forbid")

    root: Annotated[
        Text,
        Field(
            max_length=MAX_PATH_CHARS,
            description="absolute, without `.` and `..`",
            json_schema_extra={"pattern": r"^/[^\x00]*$", "not": {"pattern": r"(^|/)\.\.?(/|$)"}},
        ),
    ]
    on_runner_lost: OnRunnerLost = "fail"


class VoidRead(BaseModel):
    """A registration or removal in the log that has no effect, because another event came first.

    `root` is null for `removed`; `reason` names the conflict.
    """

    seq: LogSeq
    event: str
    root: str | None
    by: str
    time: datetime
    reason: VoidReason


class WorkspaceRead(BaseModel):
    """A registered workspace; `seq` is the stream sequence of its registration.

    `void` is its newest registration event, if that has no effect.
    """

    id: str
    root: str
    on_runner_lost: str
    seq: LogSeq
    version: int
    void: VoidRead | None = None


class RemovalQuery(BaseModel):
    """Query of `DELETE /workspaces/{id}`."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Shown, Field(max_length=500)] | None = None


@router.put(
    "/workspaces/{workspace}",
    response_model=WorkspaceRead,
    openapi_extra=needs(Role.OPERATOR),
    responses={
        201: {"model": WorkspaceRead, "description": "registered for the first time"},
        **problems(400, 409, 413, 415, 503, 507),
    },
)
async def register(
    workspace: CheckedWorkspaceId, body: WorkspaceBody, response: Response, parts: Parts, actor: Actor
) -> Any:
    """Register or change a workspace; the same again records nothing."""
    registered, new = await parts.workspaces.register(workspace, body.root, body.on_runner_lost, actor)
    response.status_code = 201 if new else 200
    return _shown(registered, parts.view.void_registration(registered.id))


@router.delete(
    "/workspaces/{workspace}",
    status_code=204,
    openapi_extra=needs(Role.ADMIN),
    responses=problems(404, 409, 503, 507),
)
async def remove(
    workspace: CheckedWorkspaceId, parts: Parts, actor: Actor, query: Annotated[RemovalQuery, Query()]
) -> Response:
    """Forget a registration; only while nothing holds or waits in the workspace."""
    await parts.workspaces.remove(workspace, query.reason, actor)
    return Response(status_code=204)


class PastQuery(PageQuery):
    """Query of `GET /locks` and `GET /workspaces`."""

    at: Point | None = None


@router.get(
    "/workspaces",
    response_model=Page[WorkspaceRead],
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def list_workspaces(
    request: Request, response: Response, parts: Parts, query: Annotated[PastQuery, Query()]
) -> Any:
    """All registered workspaces, by id: now, or `at` another time."""
    registered, void_of = parts.view.registrations(), parts.view.void_registration
    if query.at is not None:
        judge = (await _table(request, parts, query.at)).judge
        registered, void_of = list(judge.registrations), judge.void
    found, cursor = cut(registered, lambda one: one.id, query)
    link_next(request, response, cursor)
    return Page[WorkspaceRead](items=[_shown(one, void_of(one.id)) for one in found], next_cursor=cursor)


@router.get(
    "/workspaces/{workspace}",
    response_model=WorkspaceRead,
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def get_workspace(workspace: CheckedWorkspaceId, parts: Parts) -> Any:
    """One registered workspace."""
    registered = await _registered(parts, workspace)
    return _shown(registered, parts.view.void_registration(workspace))


@router.get(
    "/workspaces/{workspace}/locks",
    response_model=LockEntry,
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def workspace_locks(
    request: Request,
    workspace: CheckedWorkspaceId,
    parts: Parts,
    at: Annotated[Point | None, Query()] = None,
) -> Response:
    """Holders of one workspace, and waiters in order with what blocks them: now, or `at` another time."""
    see = None
    if at is not None:
        pictures = await entries_of(await _table(request, parts, at), [workspace])
    else:
        await _registered(parts, workspace)
        pictures = [parts.view.picture(workspace)]
        see = await _see(parts, pictures)
    return in_slices((await entries_json(pictures, see))[0])


@router.get(
    "/locks", response_model=Page[LockEntry], openapi_extra=needs(Role.VIEWER), responses=problems(404, 503)
)
async def locks(request: Request, parts: Parts, query: Annotated[PastQuery, Query()]) -> Response:
    """Workspaces in which anything holds or waits, by id: now, or `at` another time.

    A page ends early where its workspaces have very many claims; `next_cursor` goes on.
    """
    see = None
    if query.at is None:
        found, cursor = _page(parts.view.open_workspaces(), parts.view.open_size, query)
        pictures = [parts.view.picture(name) for name in found]
        see = await _see(parts, pictures)
    else:
        table = await _table(request, parts, query.at)
        found, cursor = _page(list(table.workspaces()), table.open_size, query)
        pictures = await entries_of(table, found)
    items = b",".join(await entries_json(pictures, see))
    answer = b'{"items":[%s],"next_cursor":%s}' % (items, orjson.dumps(cursor))
    response = in_slices(answer)
    link_next(request, response, cursor)
    return response


async def _table(request: Request, parts: ApiParts, at: LogSeq | datetime) -> LockTable:
    """The locks at another time."""
    seq = await position_at(parts, at)
    set_as_of(request, seq)
    return await parts.past.locks(seq)


async def _see(parts: ApiParts, pictures: Sequence[EntryPicture]) -> SeeRunner | None:
    """Tells about the runners of holders; reads heartbeats only if a runner has one."""
    return await seen_runners(parts) if any(picture.bound for picture in pictures) else None


def _page(
    names: Sequence[WorkspaceId], size_of: Callable[[WorkspaceId], OpenSize], query: PastQuery
) -> tuple[list[WorkspaceId], str | None]:
    """The workspaces of one page: at most `limit` and PAGE_PATHS paths, but at least one workspace."""
    found, cursor = cut(names, str, query)
    shown = 0
    for number, name in enumerate(found):
        size = size_of(name)
        shown += size.claims + size.paths
        if number and shown > PAGE_PATHS:
            return found[:number], encode_cursor(found[number - 1])
    return found, cursor


async def _registered(parts: ApiParts, workspace: WorkspaceId) -> Registration:
    registration = await parts.view.registration(workspace)
    if registration is None:
        missing, void = not_registered(workspace), parts.view.void_registration(workspace)
        if void is not None:
            missing.detail += f"; its newest registration, event {void.seq}, is void: {void.words()}"
        raise missing
    return registration


def _shown(one: Registration, void: Void | None) -> WorkspaceRead:
    return WorkspaceRead(
        id=one.id,
        root=one.root,
        on_runner_lost=one.on_runner_lost,
        seq=one.seq,
        version=one.version,
        void=VoidRead.model_validate(asdict(void)) if void is not None else None,
    )
