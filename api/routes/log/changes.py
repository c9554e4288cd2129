"""The change feed as a live stream for pages: which tasks and workspaces to read again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.responses import StreamingResponse

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.queries.positions import MAX_SEQ
from api.schema.openapi import problems
from api.streaming.change_feed import MOST_BEHIND, ChangeFeed
from api.streaming.live_response import LiveResponse, Streams, check_free, while_valid
from domain.identifiers import LogSeq
from domain.log.position import PATTERN, Position

router = APIRouter(route_class=GuardedRoute, tags=["events"])

_MESSAGE = {
    "description": "each message of the stream",
    "type": "object",
    "required": ["id", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "type": "object",
                "required": ["tasks", "workspaces", "reset"],
                "properties": {
                    "tasks": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["id", "seq", "status"],
                            "properties": {
                                "id": {"type": "string", "format": "uuid"},
                                "seq": {"type": "integer"},
                                "status": {"$ref": "#/components/schemas/Status"},
                            },
                        },
                    },
                    "workspaces": {"type": "array", "items": {"type": "string"}},
                    "reset": {"type": "boolean"},
                },
            },
        },
    },
}
_SAYS = (
    "`id:` is the sequence up to which all changes were named; `tasks` has the last event about each task, "
    "lock events included, and its status; `workspaces`: those whose locks or registration may be others. "
    "`reset`: too much has changed, or the position is of another log; read everything again. The first "
    "message comes at once and says where the stream stands"
)


class ChangesQuery(BaseModel):
    """Query of `GET /changes`."""

    model_config = ConfigDict(extra="forbid")

    after_seq: LogSeq | None = Field(
        default=None, ge=0, le=MAX_SEQ, description="as Last-Event-ID, which goes first"
    )


@router.get(
    "/changes",
    response_class=StreamingResponse,
    openapi_extra=needs(Role.VIEWER),
    responses={
        200: {"description": _SAYS, "content": {"text/event-stream": {"schema": _MESSAGE}}},
        **problems(503),
    },
)
async def changes(
    request: Request,
    parts: Parts,
    query: Annotated[ChangesQuery, Query()],
    last_event_id: Annotated[
        Annotated[Position, BeforeValidator(Position.parse)] | None,
        WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["23"]}),
        Header(description=f"resume behind this sequence; further back than {MOST_BEHIND} events: `reset`"),
    ] = None,
) -> LiveResponse:
    """Server-sent events: which tasks and workspaces have changed, four messages a second at most.

    A change is named once the lists of this process show it.
    """
    streams: Streams = request.app.state.streams
    check_free(streams, "try again later, or look at GET /overview every 5 seconds")
    feed: ChangeFeed = request.app.state.changes
    after = last_event_id
    if after is None and query.after_seq is not None:
        after = Position(query.after_seq)
    chunks = feed.chunks(await feed.first(after))
    return LiveResponse(while_valid(chunks, request.state.session, parts.clock), streams)
