"""Carries a caller's W3C `traceparent` to the events that its request appends."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from domain.trace import TRACEPARENT, use_traceparent

_HEADER = TRACEPARENT.encode()


class CarryTrace:
    """ASGI middleware: what the request does belongs to its `traceparent`; a malformed one is dropped."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the context, then pass on; each request is handled in a context of its own."""
        if scope["type"] == "http":
            given = next((value for name, value in scope["headers"] if name == _HEADER), None)
            use_traceparent(given.decode("latin-1") if given is not None else None)
        await self._app(scope, receive, send)
