"""The output of an attempt, in ranges, also while it grows."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.problems import HttpProblem
from api.queries.tasks.outputs import output_range
from api.schema.openapi import problems
from api.streaming.live_response import OutputResponse, Streams
from domain.identifiers import CheckedTaskId
from domain.protocol import MAX_COUNTER
from domain.runners.output_range import (
    ATTEMPT,
    COMPLETE,
    CUT,
    MAX_RANGE_BYTES,
    MAX_WAIT_SECONDS,
    OFFSET,
    RANGE_BYTES,
    SIZE,
)

UNSENT_BYTES = 64 << 20
"""Limit of what is read and not sent yet, of all readers together."""

router = APIRouter(route_class=GuardedRoute, tags=["tasks"])


class OutputQuery(BaseModel):
    """Which bytes."""

    model_config = ConfigDict(extra="forbid")

    attempt: int | None = Field(default=None, ge=1, lt=2**31, description="default: the current one")
    offset: int = Field(
        default=0, ge=-MAX_COUNTER, le=MAX_COUNTER, description="the first byte; negative: from the end"
    )
    limit: int = Field(default=RANGE_BYTES, ge=1, le=MAX_RANGE_BYTES, description="at most so many bytes")
    wait: float = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        allow_inf_nan=False,
        description="seconds to wait for a byte at `offset`, if the output is not complete",
    )


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": schema}


_NUMBER = {"type": "integer", "minimum": 0}
_RANGE = {
    "description": "bytes from `offset`; fewer than `limit`, or none, if there are no more yet",
    "content": {"text/plain": {"schema": {"type": "string"}}},
    "headers": {
        ATTEMPT: _header("the attempt; 0: the task has none yet", **_NUMBER),
        OFFSET: _header("where these bytes begin", **_NUMBER),
        SIZE: _header("bytes of output so far", **_NUMBER),
        COMPLETE: _header("whether the output does not grow any more", type="string", enum=["true", "false"]),
        CUT: _header("bytes left out of its middle, at the line that says so", **_NUMBER),
    },
}


@router.get(
    "/tasks/{task_id}/output",
    response_class=PlainTextResponse,
    openapi_extra=needs(Role.VIEWER),
    responses={200: _RANGE, **problems(404, 503)},
)
async def output(
    task_id: CheckedTaskId, request: Request, parts: Parts, query: Annotated[OutputQuery, Query()]
) -> OutputResponse:
    """Bytes of an attempt's output, from the runner that keeps it; go on at `Towpath-Output-Offset` + length.

    Offsets count bytes after secrets were masked, and never change. 503 `runner-away`: its runner does not
    answer; 404 `output-gone`: it was deleted or never kept (`kept`). Both have the `output_tail` of an
    attempt that has ended.
    """
    streams: Streams = request.app.state.streams
    if streams.open >= streams.limit or streams.output_bytes > UNSENT_BYTES:
        raise HttpProblem(
            503, "too-many-streams", "too many outputs are being read; try again later", {"Retry-After": "5"}
        )
    # Answers to many readers may arrive at once: each has room from now on, less where there are many.
    room = UNSENT_BYTES - streams.output_bytes - streams.asked_bytes
    limit = min(query.limit, max(room, UNSENT_BYTES // streams.limit))
    asked = query.model_dump(exclude={"attempt"}) | {"limit": limit}
    streams.open += 1
    streams.asked_bytes += limit
    reading = output_range(parts, task_id, query.attempt, asked)
    try:
        facts, found = await (_unless_left(request, reading) if query.wait else reading)
    finally:
        streams.open -= 1
        streams.asked_bytes -= limit
    return OutputResponse(found.data, streams, {**found.headers(), ATTEMPT: str(facts.number)})


async def _unless_left(request: Request, reading: Any) -> Any:
    """The result of `reading`, which ends early if the client leaves or the API is stopped."""
    wanted = asyncio.ensure_future(reading)
    over = [asyncio.ensure_future(one) for one in (_left(request), request.app.state.closing.wait())]
    try:
        await asyncio.wait({wanted, *over}, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            return wanted.result()
        raise HttpProblem(503, "stopping", "this API is being stopped; send it again", {"Retry-After": "1"})
    finally:
        for one in (wanted, *over):
            one.cancel()
        await asyncio.gather(wanted, *over, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
