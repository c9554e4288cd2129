"""Rejects a body whose declared length exceeds the limit before any of it is read.

`api.middleware.bodies` counts the received bytes. The frameworks' own limits answer in plain text; here every
error is a problem.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_response

_CODE = "body-too-large"


class LimitBody:
    """ASGI middleware: answers 413 to bodies of more than `limit` bytes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._detail = f"a body has at most {limit} bytes; send less"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject by Content-Length; `api.middleware.bodies` counts the received bytes."""
        declared = None
        if scope["type"] == "http":
            declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if declared is None:
            await self._app(scope, receive, send)
        elif not declared.isdigit() or len(declared) > 18:
            response = problem_response(400, "bad-content-length", "Content-Length must be a plain number")
            await response(scope, receive, send)
        elif int(declared) > self._limit:
            await problem_response(413, _CODE, self._detail)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
