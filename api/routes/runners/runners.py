"""Runners and their last heartbeats.

`state` depends only on time, by this process's clock: `suspected` without a heartbeat for a lease, `lost`
after the additional grace. The watchdog decides about attempts, by the broker's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.paging import Page, PageQuery, cut, link_next
from api.queries.runner_status import awaiting_operator
from api.schema.openapi import problems
from domain.errors import Busy, Refused
from domain.identifiers import CheckedRunnerId, Name, RunnerId, TaskId
from domain.ports.read_model import TaskFilter
from domain.protocol import Heartbeat, Held, RunnerState
from domain.runners.liveness import Beat, in_conflict
from domain.task.transitions import Status

MANY = 100
router = APIRouter(route_class=GuardedRoute, tags=["runners"])


class InConflict(BaseModel):
    """One of several runners with one id."""

    instance: str | None
    host: str
    last_heartbeat: datetime


class RunnerRead(BaseModel):
    """A runner; `running_attempts` are those it reports, from acceptance to the answered end; of a lost one
    those of its last heartbeat that are open.

    `awaiting_operator`: attempts of a lost runner whose lock is kept (`on_runner_lost` is `hold`) until an
    operator has checked their processes and releases it. Also if another instance uses its id by now.
    Without another heartbeat its lease ends at `lease_until`, and it counts as lost from `lost_at` on.
    """

    id: str
    pools: list[str]
    host: str
    capacity: int
    running_attempts: list[Held]
    last_heartbeat: datetime
    lease_until: datetime
    lost_at: datetime
    state: RunnerState
    outbox: int | None = Field(description="Reports that it has not delivered yet, if it counts them.")
    awaiting_operator: list[Held]
    instance: str | None = Field(description="Which state directory its last heartbeat came from.")
    conflict: list[InConflict] = Field(
        description="The runners that take turns under this id, where there are several: give each its own."
    )


class RunnerQuery(PageQuery):
    """Filters of `GET /runners`; all given ones must hold."""

    state: list[RunnerState] = Field(default=[], max_length=3, description="repeatable: any of them")
    pool: Name | None = Field(default=None, description="that serve this pool")
    awaiting: bool | None = Field(default=None, description="whether locks of theirs wait for an operator")


@router.get(
    "/runners",
    response_model=Page[RunnerRead],
    openapi_extra=needs(Role.VIEWER),
    responses=problems(503),
)
async def runners(
    request: Request, response: Response, parts: Parts, query: Annotated[RunnerQuery, Query()]
) -> Any:
    """All runners that have sent heartbeats and have not said goodbye, by id."""
    recent = await parts.heartbeats.recent()
    now = parts.clock()
    states = {name: parts.lease.state(beats[-1][1], now) for name, beats in recent.items()}
    kept = awaiting_operator(parts, recent)
    fitting = [beats[-1] for name, beats in recent.items() if _fits(beats[-1][0], states[name], kept, query)]
    found, cursor = cut(fitting, lambda one: one[0].runner_id, query)
    link_next(request, response, cursor)
    over = await _over(parts, [beat for beat, _ in found if states[beat.runner_id] == "lost"])
    items = [
        RunnerRead(
            id=beat.runner_id,
            pools=beat.pools,
            host=beat.host,
            capacity=beat.capacity,
            running_attempts=[held for held in beat.held if held not in over.get(beat.runner_id, ())],
            last_heartbeat=at,
            lease_until=at + parts.lease.lease,
            lost_at=at + parts.lease.lost_after,
            outbox=beat.outbox,
            state=states[beat.runner_id],
            awaiting_operator=kept.get(beat.runner_id, []),
            instance=beat.instance,
            conflict=_conflict(recent[beat.runner_id], states[beat.runner_id]),
        )
        for beat, at in found
    ]
    return Page[RunnerRead](items=items, next_cursor=cursor)


async def _over(parts: ApiParts, lost: Sequence[Heartbeat]) -> dict[RunnerId, list[Held]]:
    """By runner id: attempts of the last heartbeats of lost runners that have ended since."""
    ids = list(dict.fromkeys(held.task_id for beat in lost for held in beat.held))
    open_now: set[tuple[TaskId, int]] = set()
    for start in range(0, len(ids), MANY):
        wanted = TaskFilter(status=(Status.QUEUED, Status.RUNNING), ids=tuple(ids[start : start + MANY]))
        try:
            tasks, _ = await parts.read_model.find(wanted, MANY, None, brief=True)
        except Busy:
            return {}  # runners are shown also while the read model is away
        open_now |= {(one.id, one.attempt) for one in tasks}
    return {
        beat.runner_id: [held for held in beat.held if (held.task_id, held.attempt) not in open_now]
        for beat in lost
    }


def _fits(
    beat: Heartbeat, state: RunnerState, kept: Mapping[RunnerId, list[Held]], query: RunnerQuery
) -> bool:
    return (
        (not query.state or state in query.state)
        and (query.pool is None or query.pool in beat.pools)
        and (query.awaiting is None or query.awaiting is (beat.runner_id in kept))
    )


@router.delete(
    "/runners/{runner_id}",
    status_code=204,
    response_class=Response,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(404, 409, 503),
)
async def forget_runner(
    runner_id: Annotated[CheckedRunnerId, Path(examples=["host-9"])], parts: Parts
) -> None:
    """Forget a lost runner that comes back no more: it is no longer shown or counted.

    409 `runner-alive` while it may live, by the broker's clock: one that is stopped in order says goodbye by
    itself. 409 `runner-holds-lock` while a lock of its is kept for an operator, `runner-holds-task` while
    another attempt that it had is open. A runner that comes back is shown again.
    """

    async def holds_nothing() -> None:
        await parts.view.at_end()
        await _check_holds_nothing(parts, runner_id)

    await parts.heartbeats.forget(runner_id, parts.lease, holds_nothing)


async def _check_holds_nothing(parts: ApiParts, runner_id: RunnerId) -> None:
    """Refused while an open attempt is bound to the id: the watchdog judges it by these heartbeats."""
    policies = {one.id: one.on_runner_lost for one in parts.view.registrations()}
    grants = [
        grant.claim for one in policies for grant in parts.view.holders(one) if grant.runner_id == runner_id
    ]
    wanted = TaskFilter(status=(Status.QUEUED, Status.RUNNING), runner=runner_id)
    found, cursor = await parts.read_model.find(wanted, MANY, None, brief=True)
    while cursor is not None and len(found) < MANY:  # a page may be short
        more, cursor = await parts.read_model.find(wanted, MANY, cursor, brief=True)
        found += more
    for task_id in dict.fromkeys([*(claim.task_id for claim in grants), *(one.id for one in found)]):
        task = (await parts.commands.read(task_id)).task
        if task.runner_id != runner_id or task.status not in (Status.QUEUED, Status.RUNNING):
            continue
        named = {"task_id": task_id, "attempt": task.attempt}
        if task.spec.workspace is not None and policies.get(task.spec.workspace) == "hold":
            raise Refused(
                "runner-holds-lock",
                f"the lock of task {task_id} is kept for an operator: see that nothing of it runs any "
                "more, release it, then forget the runner",
                named,
            )
        raise Refused(
            "runner-holds-task",
            f"task {task_id}, which runner {runner_id} had, is still open: it ends as `runner-lost` in a "
            "moment; then forget the runner",
            named,
        )


def _conflict(beats: Sequence[Beat], state: RunnerState) -> list[InConflict]:
    """The runners that use the id in turn; none if that id's runner is lost."""
    if state == "lost" or not in_conflict(beats):
        return []
    newest = {beat.instance: (beat, at) for beat, at in beats}
    return [
        InConflict(instance=beat.instance, host=beat.host, last_heartbeat=at) for beat, at in newest.values()
    ]
