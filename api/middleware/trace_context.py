"""Carries a caller's W3C `traceparent` to the events that its request appends."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware.response_status import Answered, route_path
from domain.context.trace import TRACEPARENT, current_traceparent, use_traceparent
from domain.context.tracer import TASK_ID, Span, Tracer, spanning

_HEADER = TRACEPARENT.encode()
_UNTRACED = frozenset({"/livez", "/readyz", "/metrics", "/events/stream", "/changes", "/runner/heartbeat"})
_READS = ("GET", "HEAD", "OPTIONS")


class CarryTrace:
    """ASGI middleware: the request continues its `traceparent`; a malformed one is dropped.

    With a tracer, each command and report is a span, and so is a read with a `traceparent`. Other reads, such
    as polling, start no trace.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer | None = None) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the trace context, then pass the request on; each request has a context of its own."""
        if scope["type"] == "http":
            given = next((value for name, value in scope["headers"] if name == _HEADER), None)
            use_traceparent(given.decode("latin-1") if given is not None else None)
            if self._tracer is not None and _wanted(scope):
                await self._traced(self._tracer, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _traced(self, tracer: Tracer, scope: Scope, receive: Receive, send: Send) -> None:
        about = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with spanning(tracer, scope["method"], "server", about) as span:
            assert span is not None
            answered = Answered(send)
            try:
                await self._app(scope, receive, answered)
            finally:
                _describe(span, scope, answered.status)


def _wanted(scope: Scope) -> bool:
    if scope["path"] in _UNTRACED:
        return False
    return scope["method"] not in _READS or current_traceparent() is not None


def _describe(span: Span, scope: Scope, status: int) -> None:
    route = route_path(scope)
    if route is not None:
        span.rename(f"{scope['method']} {route}")
        span.set({"http.route": route})
    task_id = scope.get("path_params", {}).get("task_id")
    if task_id is not None:
        span.set({TASK_ID: task_id})
    span.set({"http.response.status_code": status})
    if status >= 500:
        span.fail(f"HTTP {status}")
