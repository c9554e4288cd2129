"""Authentication: operators by bearer token or console cookie, runners by callback or attempt token.

Each route declares the role it needs; a route without one cannot be built. The check runs before the body is
read. `api.callers` says how events name the caller. Tokens are compared by digest in constant time and never
logged.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from api.callers import Caller, caller_of, refuse_on_behalf, sends_on_behalf
from api.config import ApiConfig, OperatorToken, Role, digest_of
from api.dependencies import ApiParts
from api.middleware.bodies import READS
from api.middleware.json_request import JsonRequest
from api.problems import NOT_KEPT, HttpProblem
from api.queries.as_of import say_as_of, set_as_of
from api.session_cookies import require_console, session_of
from domain.actors import JOB_ACTOR
from domain.identifiers import TaskId
from domain.protocol import RUNNER_AUTH_HEADER, Heartbeat
from domain.runners.attempt_token import Proof
from domain.runners.runner_key import certifies

ROLE_KEY = "x-required-role"
JOB_KEY = "x-job-token"
SECURITY_SCHEME = "operator"
RUNNER_SCHEME = "runner"
SESSION_SCHEME = "session"
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def needs(role: Role, *, job: bool = False) -> dict[str, Any]:
    """Declares a route's role: `@router.get(…, openapi_extra=needs(Role.VIEWER))`; enforced, documented.

    `job`: the job of the task in the path may call it, too, with its job token in X-Runner-Token.
    """
    if job:
        return {
            ROLE_KEY: role.label,
            JOB_KEY: True,
            "security": [{SECURITY_SCHEME: []}, {SESSION_SCHEME: []}, {RUNNER_SCHEME: []}, {}],
        }
    return {ROLE_KEY: role.label, "security": [{SECURITY_SCHEME: []}, {SESSION_SCHEME: []}, {}]}


class GuardedRoute(APIRoute):
    """A route that checks the caller's role before it reads the body."""

    def get_route_handler(self) -> _Handler:
        """FastAPI's handler, called after the check."""
        handle = super().get_route_handler()
        extra = self.openapi_extra or {}
        role, job = Role[extra[ROLE_KEY].upper()], JOB_KEY in extra

        async def guarded(request: Request) -> Response:
            parts: ApiParts = request.app.state.parts
            if job and job_attempt(parts, request) is not None:
                if sends_on_behalf(request.headers):
                    refuse_on_behalf()
                request.state.actor = JOB_ACTOR
            else:
                request.state.caller = authorise(parts, request, role)
                request.state.actor = request.state.caller.actor
            asked = JsonRequest.of(request)
            if request.method not in READS:
                await asked.body()
                return await handle(asked)
            set_as_of(request, parts.view.seq)
            response = await handle(asked)
            say_as_of(request, response)
            response.headers.setdefault(*NOT_KEPT)
            return response

        return guarded


class CheckedRoute(APIRoute, ABC):
    """A route for runners, jobs or the login; it checks the request before it reads the body."""

    @abstractmethod
    def check(self, request: Request) -> None:
        """Raise HttpProblem unless the request's headers suffice."""

    def get_route_handler(self) -> _Handler:
        """FastAPI's handler, called after the check."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            self.check(request)
            asked = JsonRequest.of(request)
            await asked.body()
            return await handle(asked)

        return guarded


class ConsoleRoute(CheckedRoute):
    """A route that only the console's own page may call: it sets or clears its cookie."""

    def check(self, request: Request) -> None:
        """Raise HttpProblem 403 if another page, or a program, sent it."""
        require_console(request.app.state.parts, request)


def job_attempt(parts: ApiParts, request: Request) -> int | None:
    """The attempt whose job sends the request about the task in its path; None where no job token is sent."""
    token = request.headers.get(RUNNER_AUTH_HEADER)
    return parts.job_tokens.check(request.path_params["task_id"], token) if token is not None else None


def authorise(parts: ApiParts, request: Request, role: Role) -> Caller:
    """Who sends a request, if it has at least `role`. A bearer token goes first, then the console's cookie.

    Raises:
        HttpProblem: 401 without a known token, 403 for a lower role, or as `caller_of` and `session_of`.
    """
    session = None
    if not parts.config.operator_tokens:
        token = None
    elif "authorization" in request.headers or (session := session_of(parts, request)) is None:
        token = _token_of(parts.config, request.headers)
    else:
        token = session.token
    request.state.session = session
    caller = caller_of(token, request.headers)
    if caller.role < role:
        raise HttpProblem(
            403,
            "forbidden",
            f"this needs the role {role.label}; the caller has the role {caller.role.label}",
            required_role=role.label,
        )
    return caller


def _token_of(config: ApiConfig, headers: Headers) -> OperatorToken:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    token = find_token(config, given.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        raise HttpProblem(
            401,
            "unauthorised",
            "send Authorization: Bearer <token> with one of the tokens in TOWPATH_API_TOKENS",
            {"WWW-Authenticate": 'Bearer realm="towpath"'},
        )
    return token


def find_token(config: ApiConfig, given: str) -> OperatorToken | None:
    """The configured token that `given` is; compared by digest, in constant time."""
    digest = digest_of(given)
    found = None
    for token in config.operator_tokens:
        # no early end: the time tells nothing of which token it is
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


@dataclass(frozen=True, slots=True)
class RunnerKey:
    """A runner's own key, which has still to be held against the id of its task's pool."""

    key: str = field(repr=False)

    def check(self, runner_id: str | None, pool: str) -> None:
        """Raises HttpProblem unless the key certifies `pool`, and the report is of the runner of that id."""
        if not certifies(self.key, pool) or runner_id != pool:
            raise HttpProblem(
                401,
                "unauthorised",
                "a runner's own key is good for tasks whose pool is the id that it certifies, and for "
                "reports under that id",
                {"WWW-Authenticate": "X-Runner-Token"},
            )

    def check_beat(self, beat: Heartbeat) -> None:
        """Raises HttpProblem unless the key certifies its runner, which serves its own pool, for one task."""
        self.check(beat.runner_id, beat.runner_id)
        if beat.pools != [beat.runner_id] or len(beat.held) > 1:
            raise HttpProblem(
                403,
                "forbidden",
                "a runner with a key of its own serves one pool, which is its id, and holds one task at most",
            )


def prove(parts: ApiParts, task_id: TaskId, token: str | None) -> Proof | None:
    """What a runner's X-Runner-Token proves about `task_id`; None if no proof is required.

    Raises:
        HttpProblem: 401 if a token is configured and the given one is missing, or is neither that one nor the
        attempt's own.
    """
    expected = parts.config.callback_token
    if token is None and expected is None:
        return None
    if token is not None:
        if parts.config.accepts_callback(token):
            return None
        proof = parts.tokens.check(task_id, token)
        if proof is not None:
            return proof
    raise HttpProblem(
        401,
        "unauthorised",
        "send X-Runner-Token with the status_callback_token of the submission"
        + (" or API_RUNNER_CALLBACK_TOKEN" if expected is not None else ", or leave it out"),
        {"WWW-Authenticate": "X-Runner-Token"},
    )


async def actor_of(request: Request) -> str:
    """The actor that the guarded route determined."""
    return str(request.state.actor)


async def caller_sent(request: Request) -> Caller:
    """The caller that the guarded route determined; not for routes that a job may call."""
    caller: Caller = request.state.caller
    return caller


async def parts_of(request: Request) -> ApiParts:
    """The dependencies with which the application was created."""
    parts: ApiParts = request.app.state.parts
    return parts


Actor = Annotated[str, Depends(actor_of)]
CallerSent = Annotated[Caller, Depends(caller_sent)]
Parts = Annotated[ApiParts, Depends(parts_of)]
