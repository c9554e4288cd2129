"""The status of a response, for middleware that counts or traces."""

from __future__ import annotations

from starlette.types import Message, Scope, Send


class Answered:
    """Passes a response on and records its status; 500 until it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500

    async def __call__(self, message: Message) -> None:
        """Pass on one message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def route_path(scope: Scope) -> str | None:
    """The template of the matched route; None if none matched."""
    matched = scope.get("route") or scope.get("endpoint")
    return getattr(matched, "path", None)
