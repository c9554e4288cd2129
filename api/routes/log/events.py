"""The log over HTTP: a task's trail, pages of all events, and the live stream.

Events come from the log itself; the read model only tells where those of some name stand. A page of a
filtered list may be shorter than `limit`, even empty, and still have a `next_cursor`: the scan behind it is
bounded.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

import orjson
from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.responses import StreamingResponse

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.event_pages import EventPage, EventPages, EventSelection
from api.queries.lock_entries import in_slices
from api.queries.newest_events import NewestEvents
from api.queries.paging import Page, PageQuery, cursor_position, encode_cursor, link_next
from api.queries.positions import MAX_SEQ, Point
from api.schema.openapi import problems
from api.streaming.event_stream import EventStream
from api.streaming.live_response import LiveResponse, Streams, check_free, while_valid
from domain.errors import NotFound
from domain.identifiers import CheckedTaskId, CheckedWorkspaceId, LogSeq, TaskId, WorkspaceId
from domain.log.events import EVENTS, type_name
from domain.log.position import BEYOND, PATTERN, Position
from domain.services.positions import check_position, position_at

EventName = Literal[
    "created", "dispatched", "queued", "running", "succeeded", "failed", "cancel-requested", "canceled",
    "submit-failed", "lock-release-requested", "asked", "answered", "registered", "removed", "granted",
    "refused", "released",
]  # fmt: skip
assert set(get_args(EventName)) == {event for _, event in EVENTS}
Actor = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        description="who caused it: whole (`operator:alice`), the parts before a `:` or `/` (`runner`, "
        "`operator:bot`), or the name of a caller (`alice`)",
    ),
]

EventNames = Annotated[list[EventName], Field(max_length=32, description="repeatable: any of them")]
Resume = Annotated[Position, BeforeValidator(Position.parse)]

Seq = Annotated[LogSeq, Path(ge=1, le=MAX_SEQ, description="its place in the log", examples=[1])]

PAGE_BYTES = 4 << 20
"""Size limit of the events on one page; the last one may exceed it."""
PART_BYTES = 256 * 1024

router = APIRouter(route_class=GuardedRoute, tags=["events"])


_POSITION = {"type": "string", "pattern": PATTERN, "examples": ["23"]}
_ONE_OF_THE_STREAM = {
    "description": "each event of the stream",
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "event": {"type": "string", "enum": list(get_args(EventName))},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/EventRead"},
        },
    },
}


class EventRead(BaseModel):
    """One event; `seq` is its stream sequence, `data` depends on `type`."""

    seq: LogSeq
    id: str
    type: str = Field(json_schema_extra={"enum": [type_name(*one) for one in EVENTS]})
    event: EventName
    task_id: TaskId | None
    workspace: WorkspaceId | None
    attempt: int | None
    version: int
    time: str
    actor: str
    chain: str
    data: dict[str, Any]


class FilterQuery(BaseModel):
    """Filters of the log; all given ones must hold."""

    model_config = ConfigDict(extra="forbid")

    after_seq: LogSeq | None = Field(
        default=None, ge=0, le=MAX_SEQ, description="only events behind this sequence"
    )
    task_id: CheckedTaskId | None = None
    workspace: CheckedWorkspaceId | None = Field(
        default=None, description="lock facts, registrations and events of tasks of this workspace"
    )
    event: EventNames = []
    actor: Actor | None = None

    def wanted(self, upto: LogSeq | None = None) -> EventSelection:
        """The filter for EventPages."""
        names = tuple(dict.fromkeys(self.event))
        return EventSelection(self.task_id, self.workspace, names, self.actor, upto)


class Period(BaseModel):
    """From when, and up to when."""

    from_: Point | None = Field(default=None, alias="from")
    to: Point | None = None


class EventQuery(FilterQuery, Period, PageQuery):
    """Query of `GET /events`; `cursor` goes before `after_seq`, the further of which and `from` counts.

    With `before_seq`, `cursor` goes on before what it names.
    """

    before_seq: LogSeq | None = Field(
        default=None, ge=1, le=MAX_SEQ, description="only events before this sequence, newest first"
    )


class TrailQuery(Period, PageQuery):
    """Query of `GET /tasks/{id}/events`."""

    event: EventNames = []
    actor: Actor | None = None


@router.get(
    "/tasks/{task_id}/events",
    response_model=Page[EventRead],
    openapi_extra=needs(Role.AUDITOR),
    responses=problems(404, 503),
)
async def trail(
    task_id: CheckedTaskId, request: Request, parts: Parts, query: Annotated[TrailQuery, Query()]
) -> Response:
    """The trail: all events of a task and its lock facts, in the log's order, or those that are asked for.

    Very large events end a page early; `next_cursor` goes on.
    """
    after = await _start(parts, query, query.cursor, 0)
    wanted = EventSelection(task_id, None, tuple(query.event), query.actor, await _end(parts, query))
    return await _answer(request, parts, await _pages(request).page(wanted, after, query.limit))


@router.get(
    "/events",
    response_model=Page[EventRead],
    openapi_extra=needs(Role.AUDITOR),
    responses=problems(404, 503),
)
async def events(request: Request, parts: Parts, query: Annotated[EventQuery, Query()]) -> Response:
    """The log in its order, or with `before_seq` newest first (a large number: from the log's end).

    A short page with a `next_cursor` has been scanned, not read to its end. Very large events end a page
    early, too.
    """
    wanted = query.wanted(await _end(parts, query))
    if query.before_seq is not None:
        after, before = await _start(parts, query, None, query.after_seq or 0), query.before_seq
        if query.cursor is not None:
            before = await check_position(parts.log, cursor_position(query.cursor), parts.view)
        newest = NewestEvents(parts, _pages(request))
        return await _answer(request, parts, await newest.page(wanted, after, before, query.limit))
    after = await _start(parts, query, query.cursor, query.after_seq or 0)
    return await _answer(request, parts, await _pages(request).page(wanted, after, query.limit))


@router.get(
    "/events/stream",
    response_class=StreamingResponse,
    openapi_extra=needs(Role.AUDITOR),
    responses={
        200: {
            "description": "`id:` is the stream sequence, `event:` the event's name, `data:` the event. "
            "An `id:` without data, first of all and with each heartbeat, is a position: nothing up to it "
            "is missing. The comment `: position SEQ.EVENT_ID` beside it says the same for one log alone",
            "content": {"text/event-stream": {"schema": _ONE_OF_THE_STREAM}},
        },
        **problems(404, 503),
    },
)
async def stream(
    request: Request,
    parts: Parts,
    query: Annotated[FilterQuery, Query()],
    last_event_id: Annotated[
        Resume | None,
        WithJsonSchema(_POSITION),
        Header(
            description="resume behind this sequence; `SEQ.EVENT_ID` (an event's `seq` and `id`) is refused "
            "with 404 `other-log` where another event stands there, e.g. after a restore"
        ),
    ] = None,
) -> LiveResponse:
    """The log as server-sent events: behind Last-Event-ID or `after_seq`; without them, from now on."""
    streams: Streams = request.app.state.streams
    check_free(streams, "try again later, or page GET /events with after_seq")
    position = last_event_id
    if position is None and query.after_seq is not None:
        position = Position(query.after_seq)
    if position is None:
        after = await parts.log.last_seq()
    else:
        after = await check_position(parts.log, position, parts.view)
    if query.task_id is not None:
        await parts.commands.read(query.task_id)
    live = EventStream(parts, _pages(request), request.app.state.closing)
    chunks = live.chunks(query.wanted(), after)
    return LiveResponse(while_valid(chunks, request.state.session, parts.clock), streams)


@router.get(
    "/events/{seq}",
    response_model=EventRead,
    openapi_extra=needs(Role.AUDITOR),
    responses=problems(404, 503),
)
async def event(seq: Seq, parts: Parts) -> Response:
    """One event of the log."""
    found = await parts.log.at([seq])
    if not found:
        last = await parts.log.last_seq()
        raise NotFound(
            BEYOND, f"the log ends at sequence {last}; ask for one that is there", {"last_seq": last}
        )
    return in_slices(orjson.dumps(found[0].as_json()))


async def _start(parts: ApiParts, period: Period, cursor: str | None, after: int) -> LogSeq:
    """The sequence after which the page begins. Events at exactly `from` are included."""
    if cursor is not None:
        return await check_position(parts.log, cursor_position(cursor), parts.view)
    if after:
        await check_position(parts.log, Position(after), parts.view)
    if period.from_ is None:
        return LogSeq(after)
    if isinstance(period.from_, int):
        return LogSeq(max(after, period.from_ - 1))
    return max(LogSeq(after), await parts.past.position(period.from_ - timedelta(microseconds=1)))


async def _end(parts: ApiParts, period: Period) -> LogSeq | None:
    if period.to is None or isinstance(period.to, int):
        return period.to
    return await parts.past.position(period.to)


def _pages(request: Request) -> EventPages:
    pages: EventPages = request.app.state.event_pages
    return pages


async def _answer(request: Request, parts: ApiParts, found: EventPage) -> Response:
    """The page as JSON; it ends early if its events are very large, and yields to other requests."""
    items, size, part = list[bytes](), 0, 0
    for number, event in enumerate(found.events):
        if size > PAGE_BYTES:
            found = EventPage(found.events[:number], found.events[number - 1].seq, True)
            break
        items.append(orjson.dumps(event.as_json()))
        size += len(items[-1])
        if size - part > PART_BYTES:
            part = size
            await asyncio.sleep(0)
    cursor = encode_cursor(str(await position_at(parts.log, found.upto))) if found.more else None
    body = b'{"items":[%s],"next_cursor":%s}' % (b",".join(items), orjson.dumps(cursor))
    response = in_slices(body)
    link_next(request, response, cursor)
    return response
