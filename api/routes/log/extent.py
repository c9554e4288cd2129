"""The log's extent and times, and the terms by which clients compute deadlines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.queries.positions import MAX_SEQ, Point, position_at
from api.schema.openapi import problems
from domain.identifiers import LogSeq
from domain.log.record import EventAt, event_at

MOST_TICKS = 200

router = APIRouter(route_class=GuardedRoute, tags=["events"])


class LogQuery(BaseModel):
    """Query of `GET /log`."""

    model_config = ConfigDict(extra="forbid")

    ticks: int = Field(
        default=0, ge=0, le=MOST_TICKS, description="how many sequences between the first and the last"
    )
    from_: LogSeq | None = Field(
        default=None, alias="from", ge=1, le=MAX_SEQ, description="`ticks` begin here, with this one"
    )
    to: LogSeq | None = Field(
        default=None,
        ge=1,
        le=MAX_SEQ,
        description="`ticks` end here, with this one",
    )
    at: Point | None = Field(default=None, description="answer with the event of this sequence or time")


class LogRead(BaseModel):
    """The log from its first event to its last; null where it is empty.

    `ticks` are spread evenly over the sequences; first and last are left out, `from` and `to` are not. `at`
    is the last event up to the wanted `at`; null if none is wanted, or the log began later. A runner that
    sends no heartbeat for `lease_seconds` is suspected, and lost after `lost_seconds`; an attempt that no
    runner takes within `submit_deadline_seconds` ends `submit-failed`.
    """

    first: EventAt | None
    last: EventAt | None
    at: EventAt | None
    ticks: list[EventAt]
    now: datetime = Field(description="the clock of this process")
    lease_seconds: float
    lost_seconds: float
    submit_deadline_seconds: float


@router.get("/log", response_model=LogRead, openapi_extra=needs(Role.VIEWER), responses=problems(404, 503))
async def log_extent(parts: Parts, query: Annotated[LogQuery, Query()]) -> Any:
    """The first and the last event of the log with their times, and evenly spread ones between them."""
    then = await position_at(parts, query.at) if query.at is not None else None
    last = await parts.log.last_seq()
    ticks = _ticks(query, last) if last else []
    wanted = sorted({LogSeq(1), *ticks, last} | ({then} if then else set())) if last else []
    found = {event.seq: event_at(event) for event in await parts.log.at(wanted)}
    return LogRead(
        first=found.get(LogSeq(1)),
        last=found.get(last),
        at=found.get(then) if then else None,
        ticks=[found[seq] for seq in ticks],
        now=parts.clock(),
        lease_seconds=parts.lease.lease.total_seconds(),
        lost_seconds=parts.lease.lost_after.total_seconds(),
        submit_deadline_seconds=parts.config.submit_deadline_seconds,
    )


def _ticks(query: LogQuery, last: LogSeq) -> list[LogSeq]:
    """`ticks` sequences of the wanted part of the log, or all of it if there are fewer."""
    end = min(query.to or last, last)
    first = min(query.from_ or LogSeq(1), end)
    spread = {
        LogSeq(first + (end - first) * number // (query.ticks + 1)) for number in range(1, query.ticks + 1)
    }
    ends = {seq for seq, wanted in ((first, query.from_), (end, query.to)) if wanted is not None}
    return sorted(spread - {LogSeq(1), last} | ends)
