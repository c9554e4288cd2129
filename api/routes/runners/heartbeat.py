"""`POST /runner/heartbeat`, for runners without NATS.

The response is sent once JetStream has acknowledged the heartbeat, so it renews the runner's lease from its
sending. It tells for each listed attempt whether it is still wanted, decided on the leader: such a runner
learns of a cancel here first.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from api.auth import RUNNER_SCHEME, CheckedRoute, Parts, RunnerKey, authorise
from api.config import Role
from api.dependencies import ApiParts
from api.problems import HttpProblem
from api.schema.openapi import problems
from domain.errors import NotFound, Refused
from domain.protocol import RUNNER_AUTH_HEADER, Heartbeat, Held
from domain.runners.runner_key import is_key
from domain.task.transitions import Status

AT_ONCE = 16


class Wanted(Held):
    """Whether one attempt is still wanted: `stop` it and all its processes, or let it `run`."""

    wanted: Literal["run", "stop"]


class HeartbeatAnswer(BaseModel):
    """One entry for each attempt of the heartbeat, in its order."""

    wanted: list[Wanted]
    lease_seconds: float = Field(description="How long the runner's processes may run since it sent this.")


class _HeartbeatRoute(CheckedRoute):
    """Checks the callback token; an attempt's token does not suffice for all attempts of a runner.

    An operator may also bring a key of the runner's own, which is then held against the runner's id.
    """

    def check(self, request: Request) -> None:
        parts: ApiParts = request.app.state.parts
        config = parts.config
        token = request.headers.get(RUNNER_AUTH_HEADER)
        if config.callback_token is None or (token is not None and config.accepts_callback(token)):
            return
        if token is not None and is_key(token):
            authorise(parts, request, Role.OPERATOR)
            return
        raise HttpProblem(
            401,
            "unauthorised",
            "send X-Runner-Token with API_RUNNER_CALLBACK_TOKEN; an attempt's own token is for its reports",
            {"WWW-Authenticate": "X-Runner-Token"},
        )


router = APIRouter(route_class=_HeartbeatRoute, tags=["runners"])
_PROBLEMS = problems(400, 409, 413, 415, 503, 507)


@router.post(
    "/runner/heartbeat",
    response_model=HeartbeatAnswer,
    openapi_extra={"security": [{RUNNER_SCHEME: []}, {}]},
    responses=_PROBLEMS,
)
async def heartbeat(request: Request, beat: Heartbeat, parts: Parts) -> Any:
    """Store a runner's heartbeat; tells for each attempt that it holds whether it is still wanted.

    `stop`: the attempt has ended, was replaced, canceled or released by hand, is another runner's, or is
    unknown. A `counter` below the last one stored is rejected with 409 `counter-went-back`; a heartbeat of
    another `instance`, while the one with this id may live, with 409 `runner-id-taken`. Neither is stored.

    A runner with a key of its own serves the pool that its id is, and lists at most its one task. A heartbeat
    that lists no open task of that pool is not stored; one that lists nothing only replaces an earlier one,
    and is rejected with 409 `nothing-held` where there is none.
    """
    token = request.headers.get(RUNNER_AUTH_HEADER)
    if token is None or not is_key(token) or await _is_due(parts, RunnerKey(token), beat):
        await parts.heartbeats.publish(beat)
    wanted: list[Wanted] = []
    for start in range(0, len(beat.held), AT_ONCE):
        some = beat.held[start : start + AT_ONCE]
        wanted += await asyncio.gather(*(_wanted(parts, beat, one) for one in some))
    return HeartbeatAnswer(wanted=wanted, lease_seconds=parts.lease.lease.total_seconds())


async def _is_due(parts: ApiParts, key: RunnerKey, beat: Heartbeat) -> bool:
    """Whether a heartbeat by a runner's own key is to be stored: it lists its open task.

    One that lists nothing may only replace an earlier one. So there are no more such runners than tasks.
    """
    key.check_beat(beat)
    for held in beat.held:
        try:
            task = (await parts.commands.read(held.task_id)).task
        except NotFound:
            return False
        statuses = (Status.DISPATCHED, Status.QUEUED, Status.RUNNING)
        return task.spec.pool == beat.runner_id and task.is_open(held.attempt, *statuses)
    if await parts.heartbeats.last(beat.runner_id) is None:
        raise Refused(
            "nothing-held",
            "the heartbeats of a runner with a key of its own begin with one that lists its task: create the "
            "task first",
        )
    return True


async def _wanted(parts: ApiParts, beat: Heartbeat, held: Held) -> Wanted:
    try:
        task = (await parts.commands.read(held.task_id)).task
        runs = task.is_wanted(held.attempt, beat.runner_id, beat.instance)
    except NotFound:
        runs = False
    return Wanted(task_id=held.task_id, attempt=held.attempt, wanted="run" if runs else "stop")
