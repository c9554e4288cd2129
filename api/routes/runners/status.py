"""`POST /runner/tasks/{task_id}/status`: the busiest route, as a plain ASGI endpoint.

Every task reports here several times, so reports bypass FastAPI: ShortCut skips the router, the token is
checked first, the body is read once and validated once, and TaskRead is serialised directly. The OpenAPI
entry is therefore written by hand in `api.schema.openapi`. A conflicting end is stored as a dead letter
before it is rejected.
"""

from __future__ import annotations

import time

from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import RunnerKey
from api.dependencies import ApiParts
from api.metrics.registry import RECORDED, STALE, Metrics
from api.problems import HttpProblem, body_errors, domain_response, http_response, invalid_shape
from api.reports.gateway import CONFLICTING_END, record_report, reporter
from api.schema.openapi import STATUS_PATH
from domain.errors import DomainError, Refused
from domain.identifiers import TaskId
from domain.protocol import JOB_TOKEN_HEADER, RUNNER_AUTH_HEADER
from domain.task.transitions import Status
from domain.task.view import task_read

_JSON = [(b"content-type", b"application/json")]
_BEFORE, _AFTER = STATUS_PATH.split("{task_id}")
_TOKEN = RUNNER_AUTH_HEADER.lower().encode()
_JOB_TOKEN = JOB_TOKEN_HEADER.lower().encode()


def status_route(endpoint: StatusEndpoint) -> Route:
    """The route as the router knows it: for other methods, and where a proxy adds a path before it."""
    return Route(STATUS_PATH, endpoint, methods=["POST"], name="report")


class ShortCut:
    """ASGI middleware: hands reports to `endpoint`, everything else to the application."""

    def __init__(self, app: ASGIApp, endpoint: StatusEndpoint) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Match exactly what the route matches."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            if path.startswith(_BEFORE) and path.endswith(_AFTER):
                task_id = path[len(_BEFORE) : -len(_AFTER)]
                if task_id and "/" not in task_id:
                    scope["path_params"] = {"task_id": task_id}
                    scope["endpoint"] = self._endpoint
                    await self._endpoint(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class StatusEndpoint:
    """Accepts one report and returns the task as it is afterwards."""

    path = STATUS_PATH

    def __init__(self, parts: ApiParts, metrics: Metrics) -> None:
        self._parts = parts
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        outcome = "internal-error"
        try:
            outcome = await self._answer(scope, receive, send)
        except HttpProblem as error:
            outcome = error.code
            await http_response(error)(scope, receive, send)
        except ClientDisconnect:
            outcome = "disconnected"
        finally:
            self._metrics.callback("http", outcome, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> str:
        parts = self._parts
        task_id: TaskId = scope["path_params"]["task_id"]
        given = next((value for name, value in scope["headers"] if name == _TOKEN), None)
        token = given.decode("latin-1") if given is not None else None
        body = b""
        try:
            proof = reporter(parts, task_id, token)
            body = await _body(receive)
            stored = await record_report(parts, task_id, body, proof, "http")
        except DomainError as error:
            if isinstance(error, Refused):
                self._metrics.refused(error.code)
            refused = await self._kept(task_id, body, error)
            await domain_response(refused)(scope, receive, send)
            return refused.code
        except ValidationError as error:
            await invalid_shape(body_errors(error))(scope, receive, send)
            return "invalid-request"
        outcome = RECORDED if stored.recorded else STALE
        read = task_read(stored.task, stored.seq, parts.view.lock_of(stored.task))
        answer = read.model_dump_json().encode()
        headers = [*_JSON, (b"content-length", str(len(answer)).encode())]
        if isinstance(proof, RunnerKey) and read.status is Status.RUNNING:
            headers.append((_JOB_TOKEN, parts.job_tokens.mint(task_id, read.attempt).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        return outcome

    async def _kept(self, task_id: TaskId, body: bytes, error: DomainError) -> DomainError:
        """The error to return: a conflicting end is final only once it is stored as a dead letter."""
        if error.code == CONFLICTING_END:
            try:
                await self._parts.dead_letters.keep("report", task_id, body, error.code, error.detail)
            except DomainError as busy:
                return busy
        return error


async def _body(receive: Receive) -> bytes:
    """The whole body; `api.middleware.admission` passes it on as one message."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    return body
