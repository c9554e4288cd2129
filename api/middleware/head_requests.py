"""`HEAD` wherever `GET` works: same status and headers, no body.

Routes declare `GET` only. A live stream sends its headers and ends. The method is restored before the
response begins, since the server decides by it whether to write a body.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class AnswerHead:
    """ASGI middleware: calls the application with GET and drops the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; HEAD as GET."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def heard() -> Message:
            return {"type": "http.disconnect"} if ended else await receive()

        async def headers_only(message: Message) -> None:
            nonlocal ended
            if ended:
                return
            if message["type"] == "http.response.start":
                scope["method"] = "HEAD"
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                ended = True

        scope["method"] = "GET"
        try:
            await self._app(scope, heard, headers_only)
        finally:
            scope["method"] = "HEAD"
