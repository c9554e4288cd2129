"""Compresses long JSON answers for callers that accept gzip, such as browsers.

Only whole answers with status 200 to a GET: live streams, output and NDJSON pass through at once, and reports
skip this middleware. A compressed length tells an observer of the network something about the content, which
is an attack (BREACH) where a page of the attacker makes a browser ask with its session for an answer that
holds a secret beside text of the attacker's. Here the cookie is SameSite=Strict, no answer repeats the query,
and secrets are in no body of a GET: values of the environment are encrypted, tokens and cookies are headers.
"""

from __future__ import annotations

import asyncio
import gzip
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES = 1400
"""A shorter answer takes one packet either way."""
LEVEL = 1
"""A higher level takes several times as long and saves little of JSON."""
INLINE_BYTES = 1 << 16
"""So much is compressed in 0.1 ms; more on a thread, as others wait for the loop."""
_NEVER = re.compile(r"q\s*=\s*0(\.0*)?")


class Compress:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and compress its answer if it qualifies."""
        wanted = (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and "gzip" in accepted_codings(Headers(scope=scope))
        )
        await self._app(scope, receive, _Answer(send) if wanted else send)


class _Answer:
    """Holds the start of an answer that qualifies until its body comes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _qualifies(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if not message.get("more_body", False):
                body = await _compressed(message["body"])
                headers = MutableHeaders(raw=start["headers"])
                headers["content-encoding"] = "gzip"
                headers.add_vary_header("Accept-Encoding")  # no cache may give it to another caller
                headers["content-length"] = str(len(body))
                message = {**message, "body": body}
            await self._send(start)
        await self._send(message)


def _qualifies(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return (
        start["status"] == 200
        and headers.get("content-type") == "application/json"
        and int(headers.get("content-length", 0)) >= LEAST_BYTES
    )


async def _compressed(body: bytes) -> bytes:
    if len(body) <= INLINE_BYTES:
        return gzip.compress(body, LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)


def accepted_codings(headers: Headers) -> set[str]:
    """The codings that `Accept-Encoding` lists, without those of weight 0."""
    listed = (one.lower().partition(";") for one in headers.get("accept-encoding", "").split(","))
    return {coding.strip() for coding, _, weight in listed if not _NEVER.fullmatch(weight.strip())}
