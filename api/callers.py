"""Callers: a token's role and name, and on whose behalf it acts.

A token marked `+behalf` may send `Towpath-On-Behalf-Of: <kind>:<id>[:<name>]` and `Towpath-Role: <role>`.
From any other token they get 403, since ignoring them would record another actor than the caller meant. An
API without tokens takes them from every caller, so that a bot can limit itself to a person's role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import Headers

from api.config import OperatorToken, Role
from api.problems import HttpProblem
from domain.actors import OPEN_ACTOR, is_caller_name

ON_BEHALF_OF = "Towpath-On-Behalf-Of"
AS_ROLE = "Towpath-Role"
_FORM = (
    f"send {ON_BEHALF_OF} once, as <kind>:<id> or <kind>:<id>:<name>, each part of 1 to 64 of the "
    "characters A-Z a-z 0-9 _ . @ -"
)


class OnBehalfOf(NamedTuple):
    """A person known elsewhere: `kind` says where, e.g. `telegram`, `id` is unique there."""

    kind: str
    id: str
    name: str | None

    def __str__(self) -> str:
        return ":".join(part for part in self if part is not None)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose token was accepted; `token` is None if the API has no tokens."""

    role: Role
    token: OperatorToken | None
    on_behalf_of: OnBehalfOf | None = None

    @property
    def actor(self) -> str:
        """The actor in events: `operator:alice`, `operator:bot/telegram:4711:alice`, `api`."""
        who = f"{self.role.label}:{self.token.shown_name}" if self.token is not None else OPEN_ACTOR
        return f"{who}/{self.on_behalf_of}" if self.on_behalf_of is not None else who

    @property
    def may_act_on_behalf(self) -> bool:
        """Whether it may send the two headers."""
        return self.token is None or self.token.behalf


def caller_of(token: OperatorToken | None, headers: Headers) -> Caller:
    """The caller with `token`, as the headers of its request describe it.

    Raises:
        HttpProblem: 403 if the token may not send them, or names a higher role; 422 if they are malformed.
    """
    own = Caller(token.role if token is not None else Role.ADMIN, token)
    people, roles = headers.getlist(ON_BEHALF_OF), headers.getlist(AS_ROLE)
    if not people and not roles:
        return own
    if not own.may_act_on_behalf:
        refuse_on_behalf()
    role = _role(roles, own.role) if roles else own.role
    return Caller(role, token, _person(people) if people else None)


def sends_on_behalf(headers: Headers) -> bool:
    """Whether the request has one of the two headers."""
    return ON_BEHALF_OF in headers or AS_ROLE in headers


def refuse_on_behalf() -> None:
    """Raise HttpProblem 403: this token may not act on behalf of others."""
    raise HttpProblem(
        403,
        "not-on-behalf",
        f"this token acts for itself alone: leave out {ON_BEHALF_OF} and {AS_ROLE}, or use one that is "
        "marked +behalf in TOWPATH_API_TOKENS",
    )


def _person(given: list[str]) -> OnBehalfOf:
    parts = given[0].split(":") if len(given) == 1 else []
    if len(parts) not in (2, 3) or not all(map(is_caller_name, parts)):
        raise HttpProblem(422, "bad-header", _FORM)
    return OnBehalfOf(parts[0], parts[1], parts[2] if len(parts) == 3 else None)


def _role(given: list[str], own: Role) -> Role:
    role = Role.__members__.get(given[0].upper()) if len(given) == 1 else None
    if role is None:
        raise HttpProblem(
            422, "bad-header", f"send {AS_ROLE} once, as one of viewer, auditor, operator and admin"
        )
    if role > own:
        raise HttpProblem(
            403,
            "forbidden",
            f"{AS_ROLE} names a role above the token's own, which is {own.label}; leave it out, or name a "
            "lower one",
            required_role=role.label,
        )
    return role
