"""`POST /runner/tasks/{task_id}/status`: the busiest route, as a plain ASGI endpoint.

Every task reports here several times, so nothing of FastAPI's machinery runs on the way: the body is
read once, validated once, and TaskRead is written straight to bytes. Its OpenAPI entry is therefore
written by hand in `api.openapi`. A conflicting end is kept on the dead letters before it is refused.
"""

from __future__ import annotations

import time

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.gateway import CONFLICTING_END, accept_report
from api.metrics import ACCEPTED, Metrics
from api.openapi import STATUS_PATH
from api.parts import ApiParts
from api.problems import HttpProblem, body_errors, domain_response, invalid_shape
from domain.errors import DomainError
from domain.task_read import task_read
from domain.wire import RUNNER_TOKEN_HEADER

_JSON = [(b"content-type", b"application/json")]


def status_route(parts: ApiParts, metrics: Metrics) -> Route:
    """The route; put it first, so that no other route is tried before it."""
    return Route(STATUS_PATH, StatusEndpoint(parts, metrics), methods=["POST"], name="report")


class StatusEndpoint:
    """Takes one report and answers the task as it is after it."""

    path = STATUS_PATH

    def __init__(self, parts: ApiParts, metrics: Metrics) -> None:
        self._parts = parts
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors of HTTP itself are left to the application's handlers."""
        started = time.perf_counter()
        outcome = "internal-error"
        try:
            outcome = await self._answer(scope, receive, send)
        except HttpProblem as error:
            outcome = error.code
            raise
        except ClientDisconnect:
            outcome = "disconnected"
        finally:
            self._metrics.callback("http", outcome, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> str:
        parts = self._parts
        task_id: str = scope["path_params"]["task_id"]
        token = Headers(scope=scope).get(RUNNER_TOKEN_HEADER)
        body = await _body(receive)
        try:
            stored = await accept_report(parts, task_id, body, token, "http")
        except DomainError as error:
            if error.code == CONFLICTING_END:
                await parts.dead_letters.keep("report", task_id, body, error.code, error.detail)
            await domain_response(error)(scope, receive, send)
            return error.code
        except ValidationError as error:
            await invalid_shape(body_errors(error))(scope, receive, send)
            return "invalid-request"
        read = task_read(stored.task, stored.seq, parts.view.lock_of(stored.task))
        answer = read.model_dump_json().encode()
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*_JSON, length]})
        await send({"type": "http.response.body", "body": answer})
        return ACCEPTED


async def _body(receive: Receive) -> bytes:
    """The whole body; its size is bounded by LimitBody."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    chunks = [body]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
    return b"".join(chunks)
