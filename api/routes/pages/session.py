"""`/session`: who the caller is and what it may do, so that clients need not try; and the console's login.

`POST` exchanges an operator's token for a cookie, which scripts in the page cannot read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from api.auth import ROLE_KEY, CallerSent, ConsoleRoute, GuardedRoute, Parts, find_token, needs
from api.callers import Caller, caller_of
from api.config import Role
from api.problems import HttpProblem, leaves
from api.schema.openapi import problems
from api.session_cookies import CONSOLE_HEADER, clear_cookies, set_cookie
from domain.errors import Refused
from domain.validation.outside_text import refuse_unstorable

router = APIRouter(route_class=GuardedRoute, tags=["session"])
login = APIRouter(route_class=ConsoleRoute, tags=["session"])


class OnBehalfOfRead(BaseModel):
    """The person for whom the caller acts; `kind` says where `id` is known."""

    kind: str
    id: str
    name: str | None


class LoginBody(BaseModel):
    """A token as it stands behind the colon in TOWPATH_API_TOKENS."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: Annotated[SecretStr, Field(min_length=1, max_length=500)]

    @field_validator("token")
    @classmethod
    def _has_bytes(cls, token: SecretStr) -> SecretStr:
        refuse_unstorable(token.get_secret_value())
        return token


class SessionRead(BaseModel):
    """The caller of this request."""

    actor: str = Field(description="how events name it: `ce-actor`", examples=["operator:alice"])
    role: str = Field(json_schema_extra={"enum": [role.label for role in Role]})
    name: str | None = Field(description="the name of its token, if it has one")
    on_behalf_of: OnBehalfOfRead | None
    may_act_on_behalf: bool = Field(description="whether it may send Towpath-On-Behalf-Of and Towpath-Role")
    open: bool = Field(description="the API has no tokens: every local program may do everything")
    expires: datetime | None = Field(description="when its cookie ends; null if it came without one")
    permitted: list[str] = Field(
        description="the routes that its role permits", examples=[["GET /tasks", "POST /tasks"]]
    )


@router.get("/session", response_model=SessionRead, openapi_extra=needs(Role.VIEWER), responses=problems())
async def session(request: Request, caller: CallerSent) -> SessionRead:
    """Who one is, and what one may do."""
    held = request.state.session
    return _read(request, caller, held.expires if held is not None else None)


# `Origin`, which it needs too, is no parameter: browsers set it, and pages cannot.
_CONSOLE_PARAMETERS = [
    {"name": CONSOLE_HEADER, "in": "header", "required": True, "schema": {"type": "string", "enum": ["1"]}}
]


@login.post(
    "/session",
    response_model=SessionRead,
    openapi_extra={"parameters": _CONSOLE_PARAMETERS, "security": [{}]},
    responses=problems(400, 409, 413, 415, 503),
)
async def log_in(request: Request, response: Response, body: LoginBody, parts: Parts) -> SessionRead:
    """Exchange a token for the console's cookie, for 12 hours."""
    if not parts.config.operator_tokens:
        raise Refused("no-login-needed", "this API has no tokens: it is open to this machine's programs")
    token = find_token(parts.config, body.token.get_secret_value())
    if token is None:
        raise HttpProblem(401, "unauthorised", "this is none of the tokens in TOWPATH_API_TOKENS")
    value, session = parts.sessions.mint(token, parts.clock())
    set_cookie(request, response, value)
    return _read(request, caller_of(token, request.headers), session.expires)


@login.delete(
    "/session",
    status_code=204,
    openapi_extra={"parameters": _CONSOLE_PARAMETERS, "security": [{}]},
    responses=problems(),
)
async def log_out(response: Response) -> None:
    """Let the browser forget the cookie; it stays valid until it ends where somebody has copied it."""
    clear_cookies(response)


def _read(request: Request, caller: Caller, expires: datetime | None) -> SessionRead:
    person = caller.on_behalf_of
    return SessionRead(
        actor=caller.actor,
        role=caller.role.label,
        name=caller.token.name if caller.token is not None else None,
        on_behalf_of=OnBehalfOfRead(**person._asdict()) if person is not None else None,
        may_act_on_behalf=caller.may_act_on_behalf,
        open=caller.token is None,
        expires=expires,
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
