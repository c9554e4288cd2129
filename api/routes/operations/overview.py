"""The overview: what runs, waits and fails, and what needs a person."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from api.auth import GuardedRoute, needs
from api.config import Role
from api.queries.as_of import set_as_of
from api.queries.figures.overview import Overview, Overviews
from api.schema.openapi import problems

router = APIRouter(route_class=GuardedRoute, tags=["overview"])


@router.get("/overview", response_model=Overview, openapi_extra=needs(Role.VIEWER), responses=problems())
async def overview(request: Request) -> Any:
    """All figures of a moment, at most a second old, and what needs a person, as sentences with links.

    It answers also while NATS or the read model is away: what is unknown then is null, and named first.
    """
    made: Overviews = request.app.state.overviews
    seq, found = await made.now()
    set_as_of(request, seq)
    return found
