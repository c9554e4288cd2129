"""Host and origin guard: foreign host names and cross-site requests reach no route.

It stands before everything else and reads headers only, so it holds for every route, whether the API asks for
tokens or not: a browser that a person uses beside it must never become a way in.
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
        """Refuse or pass on."""
        if scope["type"] == "http":
            foreign = self._hosts.refusal(scope["headers"], scope.get("http_version", "1.1"))
            if foreign is not None:
                await problem_response(foreign.status, foreign.code, foreign.detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)
