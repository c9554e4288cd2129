"""Endless responses: a reader that stops reading is disconnected; nothing is buffered for it.

One chunk and the buffer below may be in transit; the next chunk waits until they are read. A reader that
reads nothing for PATIENCE_SECONDS is disconnected immediately, since an orderly close would wait for it. It
resumes with Last-Event-ID and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

PATIENCE_SECONDS = 30.0
ABORT = "towpath.abort"
"""ASGI extension: `{"call": …}` closes the connection without sending the rest."""


class Streams:
    """The number of open live streams, at most `limit`."""

    def __init__(self, limit: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.limit = limit
        self.patience_seconds = patience_seconds
        self.open = 0
        self.dropped = 0


class _NotRead(Exception):
    """The reader has stopped reading."""


class LiveResponse(StreamingResponse):
    """Sends chunks for as long as the reader reads them."""

    def __init__(self, chunks: AsyncIterator[bytes], streams: Streams, headers: Mapping[str, str]) -> None:
        super().__init__(chunks, media_type="text/event-stream", headers=dict(headers))
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the chunks end, the reader disconnects, or it stops reading."""
        streams = self._streams
        streams.open += 1

        async def taken(message: Message) -> None:
            try:
                async with asyncio.timeout(streams.patience_seconds):
                    await send(message)
            except TimeoutError:
                raise _NotRead from None

        try:
            await super().__call__(scope, receive, taken)
        except _NotRead:
            streams.dropped += 1
            structlog.get_logger("towpath.api").info("live stream dropped: its reader does not read")
            abort = (scope.get("extensions") or {}).get(ABORT)
            if abort is not None:
                abort["call"]()
                await asyncio.sleep(0)  # lets the server notice the closed connection
        finally:
            streams.open -= 1
