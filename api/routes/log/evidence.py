"""Evidence over HTTP: the log's signed checkpoints, also as a file, and verifications that were recorded.

What a server says about its own log proves little: keep the exported file and the public keys elsewhere, and
verify from another machine (docs/verify.md). A recorded verification is the statement of its caller.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import StreamingResponse

from api.auth import Actor, GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.audit_pages import audit_page, show
from api.queries.paging import Page, PageQuery, cursor_seq, encode_cursor, link_next
from api.schema.openapi import problems
from api.streaming.live_response import LiveResponse, Streams, check_free, while_valid
from domain.errors import Refused
from domain.evidence.audit_record import DATA_BYTES, AuditData, AuditRecord
from domain.evidence.checkpoint import CheckpointInvalid, LogCheckpoint, export_head
from domain.log.position import Position
from domain.protocol import MAX_COUNTER, Shown
from domain.services.positions import check_position

CHUNK_CHECKPOINTS = 50
EXPORT_TYPE = "application/jsonl"
EXPORT_NAME = "towpath-checkpoints.jsonl"
Seq = Annotated[int, Field(ge=0, le=MAX_COUNTER)]
Text = Annotated[Shown, Field(max_length=500)]

router = APIRouter(route_class=GuardedRoute, tags=["evidence"])


class CheckpointRead(BaseModel):
    """A signed checkpoint without `peaks` and `prints`, which the export has."""

    number: int
    first_seq: int
    last_seq: int
    root: str
    tree_root: str
    previous: str
    time: datetime
    key_id: str
    signature: str


class CheckpointPage(Page[CheckpointRead]):
    """Checkpoints, newest first, and what they cover."""

    count: int = Field(description="how many checkpoints there are")
    covered_upto: int = Field(description="the last sequence that a checkpoint covers; 0 for none")
    last_seq: int = Field(description="the last sequence of the log")
    public_keys: dict[str, str] = Field(
        description="the public keys of this installation by their ids, as this process knows them; "
        "compare them with a copy that you got another way"
    )
    nats_urls: list[str] = Field(
        description="the NATS servers as this process reaches them, without users; from another machine they "
        "may have other addresses"
    )


class ExportQuery(BaseModel):
    """Query of `GET /checkpoints/export`."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[int, Field(ge=0, le=MAX_COUNTER, description="only checkpoints after this number")] = 0


class DoubtRead(BaseModel):
    """A fault: the first sequence that it makes doubtful, and `exact` if it is that one."""

    seq: Seq
    kind: Annotated[Shown, Field(max_length=40)]
    sentence: Text
    exact: bool = True


class ComparedRead(BaseModel):
    """The exported checkpoints that the log was compared with, and how far they cover it."""

    file: Text
    checkpoints: Seq
    covered_upto: Seq


class VerificationFields(BaseModel):
    """What a verification found; records of other versions are read by it, too."""

    ok: bool
    events: Seq = Field(description="the last sequence that was checked")
    last_event_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = Field(
        default=None, description="the id of the event there: a result about another log is refused"
    )
    checkpoints: Seq = 0
    covered_upto: Seq = 0
    tasks_compared: Seq = 0
    first_bad_seq: Seq | None = None
    findings: Annotated[list[DoubtRead], Field(max_length=10)] = []
    notes: Annotated[list[Text], Field(max_length=10)] = []
    exported: ComparedRead | None = None
    command: Annotated[Shown, Field(min_length=1, max_length=1000)]
    host: Annotated[Shown, Field(max_length=255)] = ""
    version: Annotated[Shown, Field(max_length=64)] = ""


class VerificationBody(VerificationFields):
    """The result of a `towpath verify`, over the events 1 to `events`; at most 14 KiB as JSON."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"ok": True, "events": 1, "command": "towpath verify"}]},
    )

    @model_validator(mode="after")
    def _consistent(self) -> VerificationBody:
        if self.ok and (self.findings or self.first_bad_seq is not None):
            raise ValueError("`ok` is false where there are findings")
        if self.covered_upto > self.events:
            raise ValueError("`covered_upto` cannot be more than `events`")
        if len(self.model_dump_json().encode()) > DATA_BYTES:
            raise ValueError(f"it has more than {DATA_BYTES} bytes as JSON: shorten `findings` and `notes`")
        return self


class VerificationRead(VerificationFields):
    """A recorded verification: `by` states that the command had this result; nothing here proves it."""

    number: int
    at: datetime
    by: str


@router.get(
    "/checkpoints",
    response_model=CheckpointPage,
    openapi_extra=needs(Role.AUDITOR),
    responses=problems(409, 503),
)
async def checkpoints(
    request: Request, response: Response, parts: Parts, query: Annotated[PageQuery, Query()]
) -> Any:
    """The signed checkpoints, newest first. 409 `checkpoints-damaged` if one is missing or malformed."""
    try:
        last = await parts.checkpoints.last()
        count = last.number if last is not None else 0
        before = min(cursor_seq(query.cursor), count + 1) if query.cursor else count + 1
        after = max(before - 1 - query.limit, 0)
        found = [one async for one in _numbered(parts, after, before)]
    except CheckpointInvalid as error:
        raise _damaged(error) from error
    cursor = encode_cursor(str(found[0].number)) if found and after else None
    link_next(request, response, cursor)
    return CheckpointPage(
        items=[CheckpointRead(**one.as_json()) for one in reversed(found)],
        next_cursor=cursor,
        count=count,
        covered_upto=last.last_seq if last is not None else 0,
        last_seq=await parts.log.last_seq(),
        public_keys=dict(parts.checkpoint_keys()),
        nats_urls=list(parts.nats_urls),
    )


async def _numbered(parts: ApiParts, after: int, before: int) -> AsyncIterator[LogCheckpoint]:
    """The checkpoints with numbers between the two."""
    if after + 1 >= before:
        return
    async for one in parts.checkpoints.read(after):
        yield one
        if one.number + 1 >= before:
            return


@router.get(
    "/checkpoints/export",
    response_class=StreamingResponse,
    openapi_extra=needs(Role.AUDITOR),
    responses={
        200: {
            "description": "what `towpath checkpoint export` writes: a line with the public keys, then one "
            "checkpoint a line",
            "content": {EXPORT_TYPE: {"schema": {"type": "string"}}},
        },
        **problems(409, 503),
    },
)
async def export(request: Request, parts: Parts, query: Annotated[ExportQuery, Query()]) -> LiveResponse:
    """All checkpoints as a file, to be kept where this installation's operators cannot change it."""
    streams: Streams = request.app.state.streams
    check_free(streams, "try again later, or use `towpath checkpoint export`")
    try:
        await parts.checkpoints.last()
    except CheckpointInvalid as error:
        raise _damaged(error) from error
    lines = while_valid(_exported(parts, query.after), request.state.session, parts.clock)
    headers = {"Content-Disposition": f'attachment; filename="{EXPORT_NAME}"'}
    return LiveResponse(lines, streams, EXPORT_TYPE, headers)


async def _exported(parts: ApiParts, after: int) -> AsyncGenerator[bytes]:
    """The file in chunks. A checkpoint that cannot be read ends the response before its end."""
    chunk = [orjson.dumps(export_head(parts.checkpoint_keys()))]
    async for one in parts.checkpoints.read(after):
        chunk.append(one.encoded())
        if len(chunk) > CHUNK_CHECKPOINTS:
            yield b"\n".join(chunk) + b"\n"
            chunk = []
    if chunk:
        yield b"\n".join(chunk) + b"\n"


@router.get(
    "/verifications",
    response_model=Page[VerificationRead],
    openapi_extra=needs(Role.AUDITOR),
    responses=problems(503),
)
async def verifications(
    request: Request, response: Response, parts: Parts, query: Annotated[PageQuery, Query()]
) -> Any:
    """Verifications that callers have recorded, newest first; the newest 1000 are kept."""
    return await audit_page(request, response, parts, query, "verification", VerificationRead)


@router.post(
    "/verifications",
    response_model=VerificationRead,
    status_code=201,
    openapi_extra=needs(Role.AUDITOR),
    responses=problems(400, 404, 413, 415, 503),
)
async def record(body: VerificationBody, parts: Parts, actor: Actor) -> Any:
    """Record the result of a verification, as `towpath verify --record` does.

    404 if this log does not reach so far, or holds another event there.
    """
    await check_position(parts.log, Position(body.events, body.last_event_id), parts.view)
    what = AuditData(at=parts.clock(), by=actor, data=body.model_dump(mode="json"))
    number = await parts.audit_records.add("verification", what)
    return show(AuditRecord(number, what), VerificationRead)


def _damaged(error: CheckpointInvalid) -> Refused:
    return Refused(
        "checkpoints-damaged", f"the stored checkpoints are damaged ({error}); run `towpath verify`"
    )
