"""Host and origin guard: requests with foreign host names and cross-site requests reach no route.

It runs before all other middleware and reads headers only, so it protects every route, with or without
tokens: a browser on this machine must not give web pages access.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_response
from domain.validation.web_hosts import WebHosts


class GuardHosts:
    """ASGI middleware: answers 403 to foreign hosts and pages."""

    def __init__(self, app: ASGIApp, hosts: WebHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request or pass it on."""
        if scope["type"] == "http":
            foreign = self._hosts.refusal(scope["headers"], scope.get("http_version", "1.1"))
            if foreign is not None:
                await problem_response(foreign.status, foreign.code, foreign.detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)
