"""The history of a workspace's locks, and how contended it is; from the read model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.as_of import read_model_as_of, set_as_of
from api.queries.paging import Page, PageQuery, cursor_seq, encode_cursor, link_next
from api.queries.positions import MAX_SEQ, Point, check_read_model, position_at
from api.schema.openapi import problems
from domain.identifiers import LOG_START, CheckedWorkspaceId, LogSeq
from domain.locks.history import ClaimRead, Contention, contention

MOST_CLAIMS = 5_000
PART_CLAIMS = 500

router = APIRouter(route_class=GuardedRoute, tags=["workspaces"])


class HistoryQuery(PageQuery):
    """Query of `GET /workspaces/{id}/locks/history`."""

    at: Point | None = Field(default=None, description="the claims as they stood at this sequence or time")


class ContentionQuery(BaseModel):
    """Query of `GET /workspaces/{id}/contention`."""

    model_config = ConfigDict(extra="forbid")

    since: Point | None = Field(
        default=None, description="only claims made after this sequence or time; default: all"
    )


@router.get(
    "/workspaces/{workspace}/locks/history",
    response_model=Page[ClaimRead],
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def lock_history(
    workspace: CheckedWorkspaceId,
    request: Request,
    response: Response,
    parts: Parts,
    query: Annotated[HistoryQuery, Query()],
) -> Any:
    """The claims of a workspace, newest first: who waited and held how long, and how it ended.

    A workspace that was never registered has none.
    """
    before = LogSeq(cursor_seq(query.cursor) if query.cursor else MAX_SEQ)
    at = await _at(request, parts, query.at)
    if at is not None:
        before = min(before, LogSeq(at + 1))
    found = await parts.read_model.claims(workspace, LOG_START, before, query.limit + 1)
    page = found[: query.limit]
    cursor = encode_cursor(str(page[-1].read.claimed.seq)) if len(found) > len(page) else None
    link_next(request, response, cursor)
    items = [one.read if at is None else one.read.at(at, one.bound_seq) for one in page]
    return Page[ClaimRead](items=items, next_cursor=cursor)


@router.get(
    "/workspaces/{workspace}/contention",
    response_model=Contention,
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def workspace_contention(
    workspace: CheckedWorkspaceId, request: Request, parts: Parts, query: Annotated[ContentionQuery, Query()]
) -> Any:
    """How long the claims of a workspace waited and held, in all and by path; of very many, the newest."""
    since = await position_at(parts, query.since) if query.since is not None else LOG_START
    await read_model_as_of(request, parts)
    found: list[ClaimRead] = []
    before, more = LogSeq(MAX_SEQ), True
    while more and len(found) < MOST_CLAIMS:
        part = await parts.read_model.claims(workspace, since, before, PART_CLAIMS)
        found += [one.read for one in part]
        more = len(part) == PART_CLAIMS
        before = part[-1].read.claimed.seq if part else before
    return contention(since, found, more, parts.clock())


async def _at(request: Request, parts: ApiParts, at: LogSeq | datetime | None) -> LogSeq | None:
    """The sequence of `at`. Busy while the read model has not come as far."""
    if at is None:
        await read_model_as_of(request, parts)
        return None
    seq = await position_at(parts, at)
    await check_read_model(parts, seq)
    set_as_of(request, seq)
    return seq
