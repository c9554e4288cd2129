"""`/livez`, `/readyz`, `/metrics` and `/version`.

`/livez` and `/readyz` need no token, since probes have none; they name parts and faults, never tasks.
`/livez` checks no dependency: a restart of this process would not repair one.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.metrics.registry import Metrics
from api.metrics.scrape import refresh_gauges
from api.metrics.siblings import Siblings
from api.problems import problem_response
from api.schema.openapi import problems
from domain.protocol import CONTRACT_VERSION

_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"

probes = APIRouter(tags=["health"])
router = APIRouter(route_class=GuardedRoute, tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Every part is ready: `nats`, `log`, `locks` (this process' view of them), `read-model`, `reports`.

    A 503 has the same `parts`; what is not `ok` says what is wrong.
    """

    status: Literal["ready"] = "ready"
    parts: dict[str, str]


class Versions(BaseModel):
    """What runs here: the program, the contracts it keeps, and the NATS server it is connected to now."""

    program: str
    contract: str
    nats_server: str | None


@router.get("/version", response_model=Versions, openapi_extra=needs(Role.VIEWER), responses=problems())
async def versions(request: Request, parts: Parts) -> Any:
    """Versions of the program, of its contracts and of the NATS server."""
    return Versions(program=request.app.version, contract=CONTRACT_VERSION, nats_server=parts.nats_version())


@probes.get("/livez", response_model=Alive)
async def livez() -> Any:
    """Whether the process answers at all."""
    return Alive()


@probes.get(
    "/readyz",
    response_model=Ready,
    responses={status: said for status, said in problems(503).items() if status == 503},
)
async def readyz(parts: Parts, request: Request) -> Any:
    """Whether every part can serve; 503 names each part with what is wrong."""
    seconds = parts.config.ready_seconds
    try:
        async with asyncio.timeout(seconds):
            found = await parts.readiness()
    except TimeoutError:
        found = {"readiness": f"not answered within {seconds:g} s"}
    if request.app.state.closing.is_set():
        found = {**found, "process": "closing"}
    broken = [name for name, says in found.items() if says != "ok"]
    if not broken:
        return Ready(parts=found)
    detail = f"not ready: {', '.join(broken)}; `parts` says why, `towpath doctor` says more"
    return problem_response(503, "not-ready", detail, {"parts": found}, {"Retry-After": "1"})


@router.get(
    "/metrics",
    response_class=Response,
    openapi_extra=needs(Role.VIEWER),
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
)
async def metrics(request: Request, parts: Parts) -> Response:
    """Prometheus text format; docs/metrics.md lists all. Without NATS, only what this process has counted."""
    counted: Metrics = request.app.state.metrics
    siblings: Siblings | None = request.app.state.siblings
    await refresh_gauges(parts, counted)
    text = counted.render() if siblings is None else await siblings.render(counted)
    return Response(text, media_type=_EXPOSITION)
