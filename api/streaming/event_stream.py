"""The log as server-sent events, from any position and then live.

Each stream holds one page and its own position, so a slow reader slows only itself; one that stops reading is
dropped (`api.streaming.live_response`). Between pages the stream waits until this process's fold reaches the
next sequence. After HEARTBEAT_SECONDS without data the reader gets a keep-alive, even while the log grows or
is scanned without a match. The first bytes and every keep-alive carry an `id:` without data, the position up
to which the stream is complete: after a disconnect the reader resumes with Last-Event-ID, misses nothing, and
nothing is scanned twice. A comment after it, `: position SEQ.EVENT_ID`, adds that position's event id: sent
back as Last-Event-ID, it is rejected if the log was replaced meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from api.dependencies import ApiParts
from api.queries.event_pages import EventPage, EventPages, EventSelection
from domain.errors import Busy
from domain.identifiers import LogSeq
from domain.log.record import Recorded
from domain.services.positions import position_at

HEARTBEAT_SECONDS = 15.0
LAG_SECONDS = 0.05
AWAY_SECONDS = 1.0
PAGE = 200
CHUNK_BYTES = 256 * 1024


class EventStream:
    """One reader's stream; `closing` ends it."""

    def __init__(
        self,
        parts: ApiParts,
        pages: EventPages,
        closing: asyncio.Event,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        away_seconds: float = AWAY_SECONDS,
    ) -> None:
        self._parts = parts
        self._pages = pages
        self._closing = closing
        self._heartbeat_seconds = heartbeat_seconds
        self._away_seconds = away_seconds

    async def chunks(self, wanted: EventSelection, after: LogSeq) -> AsyncGenerator[bytes]:
        """Events after `after` as SSE, a page at a time; ends when `closing` is set."""
        yield f"retry: 1000\nid: {after}\n\n".encode()
        async for chunk in self._position(after):
            yield chunk
        clock = asyncio.get_running_loop().time
        due = clock() + self._heartbeat_seconds
        catching_up = wanted.task_id is not None
        while not self._closing.is_set():
            page = await self._next(wanted, after, catching_up)
            if page.events:
                async for chunk in _chunks(page.events):
                    yield chunk
                due = clock() + self._heartbeat_seconds
            if catching_up:
                catching_up = page.more
            elif page.upto == after and not await self._grown(after, due - clock()):
                due = clock()
            after = page.upto
            if clock() >= due and not self._closing.is_set():
                yield f": heartbeat\nid: {after}\n\n".encode()
                async for chunk in self._position(after):
                    yield chunk
                due = clock() + self._heartbeat_seconds

    async def _position(self, seq: LogSeq) -> AsyncIterator[bytes]:
        """The comment that identifies the log of the position, if known."""
        with contextlib.suppress(Busy):
            position = await position_at(self._parts.log, seq)
            if position.event_id is not None:
                yield f": position {position}\n\n".encode()

    async def _next(self, wanted: EventSelection, after: LogSeq, catching_up: bool) -> EventPage:
        """The next page: first the trail, for the filter of one task; afterwards the log itself.

        If the log does not answer, the stream stays open: its reader would only reconnect and be rejected.
        """
        try:
            if catching_up and wanted.task_id is not None:
                return await self._pages.of_task(wanted.task_id, after, PAGE, wanted)
            return await self._pages.scan(wanted, after, PAGE, steps=1)
        except Busy:
            await self._pause(LAG_SECONDS if catching_up else self._away_seconds)
            return EventPage([], after, True)

    async def _grown(self, after: LogSeq, seconds: float) -> bool:
        """Wait until this process has folded more than `after`; False after `seconds` or on closing."""
        if self._parts.view.seq > after:
            await self._pause(LAG_SECONDS)
            return True
        waiting = asyncio.ensure_future(self._parts.view.caught_up(LogSeq(after + 1), seconds))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({waiting, closing}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.done() and waiting.result()
        finally:
            waiting.cancel()
            closing.cancel()

    async def _pause(self, seconds: float) -> None:
        """Wait before a retry, because a replica lags behind the fold; return at once on closing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()


async def _chunks(events: Sequence[Recorded]) -> AsyncIterator[bytes]:
    """The events in few chunks; large ones in several, yielding to other requests in between."""
    chunk, size = list[bytes](), 0
    for event in events:
        chunk.append(_as_sse(event))
        size += len(chunk[-1])
        if size > CHUNK_BYTES:
            yield b"".join(chunk)
            await asyncio.sleep(0)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def _as_sse(event: Recorded) -> bytes:
    data = json.dumps(event.as_json(), ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.event}\ndata: {data}\n\n".encode()
