"""Notices: the channels, what was told and what could not be, and sending that again.

What was told is not part of the log: it is shown as of now. A replay names what its caller saw, so it never
sends what has changed meanwhile.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from api.auth import Actor, GuardedRoute, Parts, needs
from api.config import Role
from api.queries.notices import ChannelsRead, NoticeRead, NotifierWatch, channels_read, notice_read
from api.queries.paging import Cursor, Page, PageQuery, bad_cursor, decode_cursor, encode_cursor, link_next
from api.schema.openapi import problems
from domain.errors import NotFound
from domain.identifiers import CheckedTaskId, Name
from domain.ports.notices import GivenUp, NoticeFilter, NoticePlace, NoticeStatus, ReplayOutcome
from domain.protocol import rfc3339
from domain.validation.timestamps import Moment

MOST_ITEMS = 100
NoticeCursor = Annotated[
    Cursor, WithJsonSchema({"type": "string", "format": "notice-cursor", "maxLength": 500})
]

router = APIRouter(route_class=GuardedRoute, tags=["notices"])
log = structlog.get_logger("towpath.api")


class NoticesQuery(PageQuery):
    """Query of `GET /notices`."""

    cursor: NoticeCursor | None = None
    task: CheckedTaskId | None = None
    channel: Name | None = None
    state: NoticeStatus | None = None


class ReplayItem(BaseModel):
    """A notice that was given up; `settled_at` is that of the list."""

    model_config = ConfigDict(extra="forbid")

    channel: Name
    id: Annotated[str, Field(min_length=1, max_length=200)]
    settled_at: Moment


class ReplayItems(BaseModel):
    """Single notices."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[ReplayItem], Field(min_length=1, max_length=MOST_ITEMS)]


class ReplayChannel(BaseModel):
    """All of `channel` that were given up until `upto`, and nothing later."""

    model_config = ConfigDict(extra="forbid")

    channel: Name
    upto: Moment


def _which(body: Any) -> str:
    if isinstance(body, BaseModel):
        return type(body).__name__
    return ReplayItems.__name__ if isinstance(body, dict) and "items" in body else ReplayChannel.__name__


ReplayBody = Annotated[
    Annotated[ReplayItems, Tag(ReplayItems.__name__)] | Annotated[ReplayChannel, Tag(ReplayChannel.__name__)],
    Discriminator(_which),
]


class ReplayResult(BaseModel):
    """What became of one item.

    `changed`: it was not given up at that time, or is no more; `no-such-channel`: the notifier's file has
    none of its name, so it would wait forever.
    """

    channel: str
    id: str
    outcome: ReplayOutcome


class ReplayRead(BaseModel):
    """How many will be sent again; `items`: one result for each item, in the same order."""

    replayed: int
    items: list[ReplayResult] = []


@router.get(
    "/notices/channels",
    response_model=ChannelsRead,
    openapi_extra=needs(Role.VIEWER),
    responses=problems(503),
)
async def channels(request: Request, parts: Parts) -> Any:
    """The notifier's channels, with what became of their notices, and whether a notifier works."""
    watch: NotifierWatch = request.app.state.notifier_watch
    return await channels_read(parts, watch)


@router.get(
    "/notices",
    response_model=Page[NoticeRead],
    openapi_extra=needs(Role.VIEWER),
    responses=problems(503),
)
async def notices(
    request: Request, response: Response, parts: Parts, query: Annotated[NoticesQuery, Query()]
) -> Any:
    """What was told and is to be told, the newest first; finished ones are kept for 14 days.

    Of a `task`, each notice about it; else digests stand in the place of what is in them. Empty where no
    notifier is configured.
    """
    behind = _place(query.cursor) if query.cursor else None
    if parts.notices is None:
        return Page[NoticeRead](items=[])
    wanted = NoticeFilter(query.task, query.channel, query.state)
    found = await parts.notices.page(wanted, query.limit + 1, behind)
    page = found[: query.limit]
    cursor = None
    if len(found) > len(page):
        cursor = encode_cursor(" ".join([rfc3339(page[-1].at), page[-1].channel, page[-1].message.id]))
    link_next(request, response, cursor)
    return Page[NoticeRead](items=[notice_read(one) for one in page], next_cursor=cursor)


@router.post(
    "/notices/replay",
    response_model=ReplayRead,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(400, 404, 413, 415, 503),
)
async def replay(body: ReplayBody, parts: Parts, actor: Actor) -> Any:
    """Let the notifier send notices again that it has given up. Sent twice, this changes nothing more."""
    history, now, channel = parts.notices, parts.clock(), None
    if history is None:
        raise _no_channel("no notifier is configured here: set TOWPATH_NOTIFY for the API, too")
    if isinstance(body, ReplayItems):
        seen = [GivenUp(one.channel, one.id, one.settled_at) for one in body.items]
        outcomes = await history.replay_seen(seen, now)
        results = [
            ReplayResult(channel=one.channel, id=one.id, outcome=outcome)
            for one, outcome in zip(seen, outcomes, strict=True)
        ]
        done = ReplayRead(replayed=outcomes.count("replayed"), items=results)
    else:
        channel = body.channel
        known = {one.channel for one in await history.figures(now) if one.kind is not None}
        if channel not in known:
            raise _no_channel(
                f"the notifier's file has no channel {channel}; GET /notices/channels lists all"
            )
        done = ReplayRead(replayed=await history.replay(now, channel=channel, upto=body.upto))
    log.info("notices replayed", actor=actor, channel=channel, count=done.replayed)
    return done


def _no_channel(detail: str) -> NotFound:
    return NotFound("no-such-channel", detail)


def _place(cursor: str) -> NoticePlace:
    at, _, rest = decode_cursor(cursor).partition(" ")
    channel, _, id = rest.partition(" ")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise bad_cursor() from None
    if moment.tzinfo is None or not id:
        raise bad_cursor()
    return NoticePlace(moment, id, channel)
