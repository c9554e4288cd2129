"""`GET /session`: who the caller is and what it may do, so that clients need not try."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from api.auth import ROLE_KEY, CallerSent, GuardedRoute, needs
from api.config import Role
from api.problems import leaves
from api.schema.openapi import problems

router = APIRouter(route_class=GuardedRoute, tags=["session"])


class OnBehalfOfRead(BaseModel):
    """The person for whom the caller acts; `kind` says where `id` is known."""

    kind: str
    id: str
    name: str | None


class SessionRead(BaseModel):
    """The caller of this request."""

    actor: str = Field(description="how events name it: `ce-actor`", examples=["operator:alice"])
    role: str = Field(json_schema_extra={"enum": [role.label for role in Role]})
    name: str | None = Field(description="the name of its token, if it has one")
    on_behalf_of: OnBehalfOfRead | None
    may_act_on_behalf: bool = Field(description="whether it may send Towpath-On-Behalf-Of and Towpath-Role")
    open: bool = Field(description="the API has no tokens: every local program may do everything")
    permitted: list[str] = Field(
        description="the routes that its role permits", examples=[["GET /tasks", "POST /tasks"]]
    )


@router.get("/session", response_model=SessionRead, openapi_extra=needs(Role.VIEWER), responses=problems())
async def session(request: Request, caller: CallerSent) -> SessionRead:
    """Who one is, and what one may do."""
    person = caller.on_behalf_of
    return SessionRead(
        actor=caller.actor,
        role=caller.role.label,
        name=caller.token.name if caller.token is not None else None,
        on_behalf_of=OnBehalfOfRead(**person._asdict()) if person is not None else None,
        may_act_on_behalf=caller.may_act_on_behalf,
        open=caller.token is None,
        permitted=_permitted(request, caller.role),
    )


def _permitted(request: Request, role: Role) -> list[str]:
    return [
        f"{method} {getattr(route, 'path', '')}"
        for route in leaves(request.app.routes)
        if (least := (getattr(route, "openapi_extra", None) or {}).get(ROLE_KEY))
        and Role[least.upper()] <= role
        for method in sorted(getattr(route, "methods", None) or ())
    ]
