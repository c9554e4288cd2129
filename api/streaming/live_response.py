"""Endless and large responses: a reader that stops reading is disconnected; nothing is buffered for it.

One chunk and the buffer below may be in transit; the next chunk waits until they are read. A reader that
reads nothing for PATIENCE_SECONDS is disconnected immediately, since an orderly close would wait for it. It
resumes with Last-Event-ID and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.problems import HttpProblem
from api.sessions import Session
from domain.ports.log import Clock

PATIENCE_SECONDS = 30.0
ABORT = "towpath.abort"
"""ASGI extension: `{"call": …}` closes the connection without sending the rest."""


class Streams:
    """The number of open live streams and readers of outputs, at most `limit`."""

    def __init__(self, limit: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.limit = limit
        self.patience_seconds = patience_seconds
        self.open = 0
        self.dropped = 0
        self.output_bytes = 0
        """Bytes of outputs that were read and are not sent yet."""
        self.asked_bytes = 0
        """At most so many bytes more come for requests under way."""


def check_free(streams: Streams, otherwise: str) -> None:
    """Refuse one stream too many; `otherwise`: what a client can do.

    Raises:
        HttpProblem: 503 `too-many-streams`.
    """
    if streams.open >= streams.limit:
        detail = f"{streams.limit} live streams are open; {otherwise}"
        raise HttpProblem(503, "too-many-streams", detail, {"Retry-After": "5"})


async def while_valid(
    chunks: AsyncGenerator[bytes], session: Session | None, clock: Clock
) -> AsyncIterator[bytes]:
    """Ends a stream that was opened with a console's cookie, at the first chunk after the session's end."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if session is not None and clock() >= session.expires:
                return
            yield chunk


class _NotRead(Exception):
    """The reader has stopped reading."""


class LiveResponse(StreamingResponse):
    """Sends chunks for as long as the reader reads them."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        streams: Streams,
        media_type: str = "text/event-stream",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        live = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(chunks, media_type=media_type, headers={**live, **(headers or {})})
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the chunks end, the reader disconnects, or it stops reading."""
        check_free(self._streams, "try again later")  # again: others may have begun meanwhile
        self._streams.open += 1
        try:
            await _patiently(super().__call__, self._streams, scope, receive, send)
        finally:
            self._streams.open -= 1


class OutputResponse(Response):
    """A range of an output, as text that no browser takes for anything else."""

    media_type = "text/plain"

    def __init__(self, data: bytes, streams: Streams, headers: Mapping[str, str]) -> None:
        safe = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "no-store",
        }
        super().__init__(data, headers={**headers, **safe})
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the range, unless the reader stops reading."""
        self._streams.output_bytes += len(self.body)
        try:
            await _patiently(self._send, self._streams, scope, receive, send)
        finally:
            self._streams.output_bytes -= len(self.body)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        # The server waits before each message until the one before it is nearly sent: without this one, a
        # range would count as sent while the server still holds all of it.
        await send({"type": "http.response.body", "body": b""})


async def _patiently(
    respond: Callable[[Scope, Receive, Send], Awaitable[None]],
    streams: Streams,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    async def taken(message: Message) -> None:
        try:
            async with asyncio.timeout(streams.patience_seconds):
                await send(message)
        except TimeoutError:
            raise _NotRead from None

    try:
        await respond(scope, receive, taken)
    except _NotRead:
        streams.dropped += 1
        structlog.get_logger("towpath.api").info("live stream dropped: its reader does not read")
        abort = (scope.get("extensions") or {}).get(ABORT)
        if abort is not None:
            abort["call"]()
            await asyncio.sleep(0)  # lets the server notice the closed connection
