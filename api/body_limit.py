"""No request body larger than the limit is ever held in memory.

A declared length is refused before anything is read; a chunked body is counted while it is read. The
frameworks' own limits answer in plain text, here every error is a problem.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import HttpProblem, problem_response

_CODE = "body-too-large"


class LimitBody:
    """ASGI middleware: answers 413 to bodies of more than `limit` bytes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._detail = f"a body has at most {limit} bytes; send less"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by Content-Length, count where there is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if declared is None:
            await self._app(scope, self._counting(receive), send)
        elif not declared.isdigit() or len(declared) > 18:
            response = problem_response(400, "bad-content-length", "Content-Length must be a plain number")
            await response(scope, receive, send)
        elif int(declared) > self._limit:
            await problem_response(413, _CODE, self._detail)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _counting(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._limit:
                    raise HttpProblem(413, _CODE, self._detail)
            return message

        return counted
