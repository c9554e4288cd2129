"""The log's extent and times, and the terms by which clients compute deadlines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
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


class LogRead(BaseModel):
    """The log from its first event to its last; null where it is empty.

    `ticks` are spread evenly over the sequences, first and last left out. A runner that sends no heartbeat
    for `lease_seconds` is suspected, and lost after `lost_seconds`; an attempt that no runner takes within
    `submit_deadline_seconds` ends `submit-failed`.
    """

    first: EventAt | None
    last: EventAt | None
    ticks: list[EventAt]
    now: datetime = Field(description="the clock of this process")
    lease_seconds: float
    lost_seconds: float
    submit_deadline_seconds: float


@router.get("/log", response_model=LogRead, openapi_extra=needs(Role.VIEWER), responses=problems(503))
async def log_extent(parts: Parts, query: Annotated[LogQuery, Query()]) -> Any:
    """The first and the last event of the log with their times, and evenly spread ones between them."""
    last = await parts.log.last_seq()
    wanted = sorted({LogSeq(1), *_spread(last, query.ticks), last}) if last else []
    found = {event.seq: event_at(event) for event in await parts.log.at(wanted)}
    return LogRead(
        first=found.get(LogSeq(1)),
        last=found.get(last),
        ticks=[found[seq] for seq in wanted[1:-1]],
        now=parts.clock(),
        lease_seconds=parts.lease.lease.total_seconds(),
        lost_seconds=parts.lease.lost_after.total_seconds(),
        submit_deadline_seconds=parts.config.submit_deadline_seconds,
    )


def _spread(last: LogSeq, ticks: int) -> set[LogSeq]:
    """`ticks` sequences between 1 and `last`, or all if there are fewer."""
    return {LogSeq(1 + (last - 1) * number // (ticks + 1)) for number in range(1, ticks + 1)}
