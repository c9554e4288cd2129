"""Runners, as their last heartbeats show them.

`state` is a plain statement about time, on this process' clock: `suspected` without a heartbeat for a
lease, `lost` for the grace beyond it. What follows for attempts is decided by the watchdog, on the broker's.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.lost_runners import awaiting_operator
from api.openapi import problems
from api.paging import Page, PageQuery, cut, link_next
from domain.leases import RunnerState
from domain.wire import Held

router = APIRouter(route_class=GuardedRoute, tags=["runners"])


class RunnerRead(BaseModel):
    """A runner; `running_attempts` is what it said it holds, from acceptance to the answered end.

    `awaiting_operator`: attempts of a lost runner whose lock is kept (`on_runner_lost` is `hold`) until
    somebody has looked after their processes and releases it.
    """

    id: str
    pools: list[str]
    host: str
    capacity: int
    running_attempts: list[Held]
    last_heartbeat: datetime
    state: RunnerState
    awaiting_operator: list[Held]


@router.get(
    "/runners",
    response_model=Page[RunnerRead],
    openapi_extra=needs(Role.VIEWER),
    responses=problems(503),
)
async def runners(
    request: Request, response: Response, parts: Parts, query: Annotated[PageQuery, Query()]
) -> Any:
    """All runners that have ever sent a heartbeat, by id."""
    last = sorted(await parts.heartbeats.all(), key=lambda one: one[0].runner_id)
    found, cursor = cut(last, lambda one: one[0].runner_id, query)
    link_next(request, response, cursor)
    now = parts.clock()
    states = {beat.runner_id: parts.lease.state(at, now) for beat, at in found}
    kept = awaiting_operator(parts, {name for name, state in states.items() if state == "lost"})
    items = [
        RunnerRead(
            id=beat.runner_id,
            pools=beat.pools,
            host=beat.host,
            capacity=beat.capacity,
            running_attempts=beat.held,
            last_heartbeat=at,
            state=states[beat.runner_id],
            awaiting_operator=kept.get(beat.runner_id, []),
        )
        for beat, at in found
    ]
    return Page[RunnerRead](items=items, next_cursor=cursor)
