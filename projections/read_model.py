"""Projection `read model`: follows the log and applies it in batches, in order.

Delivery: a batch is applied when the transaction with its rows and the position commits; nothing is
acknowledged to the broker. A crash before the commit leaves rows and position unchanged, and the batch is
read again. After the commit, or with a second projection on the same database, events applied before are
skipped. While the database is unreachable the projection waits, and goes on from the position in it. A hole
in the log raises LogGap and ends the projection: a read model that skipped an event would stay wrong.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import structlog

from domain.errors import Busy
from domain.identifiers import LOG_START, LogSeq
from domain.log.record import Recorded
from domain.ports.log import LogGap, LogReader
from domain.ports.read_model import ReadModel
from domain.services.positions import stands
from projections.folding.log_head import RETRY_SECONDS, end_of_log
from projections.folding.snapshots import patiently

BATCH_EVENTS = 1000
AHEAD_EVENTS = 2000
PACE_SECONDS = 0.02
"""From one transaction to the next while events come singly: those that come meanwhile share one."""
NEW_LEADER_SECONDS = 15.0

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]


class ReadModelProjection:
    """Applies the log to one read model.

    A read model that is ahead of the log belongs to it only if a new leader knows more of the log within
    `new_leader_seconds`.
    """

    def __init__(
        self,
        log: LogReader,
        read_model: ReadModel,
        *,
        new_leader_seconds: float = NEW_LEADER_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        pace_seconds: float = PACE_SECONDS,
    ) -> None:
        self._pace_seconds = pace_seconds
        self._new_leader_seconds = new_leader_seconds
        self._retry_seconds = retry_seconds
        self._log = log
        self._read_model = read_model
        self._seq = LOG_START
        self._moved = asyncio.Condition()

    @property
    def seq(self) -> LogSeq:
        """The last applied sequence that this projection knows of."""
        return self._seq

    async def lag(self) -> int:
        """How many of the leader's events are not applied yet."""
        return max(0, await self._log.last_seq() - self._seq)

    async def caught_up(self, seq: LogSeq, timeout: float = 2.0) -> bool:
        """Wait until `seq` is applied; False if that takes longer than `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(lambda: self._seq >= seq)
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Follow the log from the read model's position until canceled or an error.

        If another process empties the read model to rebuild it, this one goes back to the new position.

        Raises:
            LogGap: the log has a hole, or the read model is of another log: it is ahead of this one, or has
                applied another event at its position.
        """
        while True:
            position = await patiently(self._read_model.stands_at)
            self._seq = LogSeq(position.seq)
            last = await end_of_log(self._last_seq, self._seq, self._new_leader_seconds, self._retry_seconds)
            if last < self._seq:
                raise _of_another_log(self._seq, f"the log ends at {last}")
            if not await patiently(partial(stands, self._log, position)):
                raise _of_another_log(self._seq, "another event stands there than the one it has applied")
            try:
                return await self._apply_behind(self._seq)
            except LogGap:
                if await patiently(self._read_model.position) >= self._seq:
                    raise
            except Busy as error:
                log.warning("read model not reachable, will go on from its position", error=str(error))
                await asyncio.sleep(self._retry_seconds)

    async def _last_seq(self) -> LogSeq:
        return await patiently(self._log.last_seq)

    async def replay(self, upto: LogSeq, progress: Progress | None = None) -> None:
        """Empty the read model and apply the log up to and including sequence `upto`.

        `progress` is called after each batch with the sequence reached and `upto`.
        """
        await self._read_model.reset()
        self._seq = LOG_START
        if upto > 0:
            await self._apply_behind(LOG_START, upto, progress)

    async def _apply_behind(
        self, seq: LogSeq, upto: LogSeq | None = None, progress: Progress | None = None
    ) -> None:
        ahead = _ReadAhead(self._log.follow(seq))
        loop = asyncio.get_running_loop()
        try:
            while batch := await ahead.take(BATCH_EVENTS):
                next_at = loop.time() + (self._pace_seconds if len(batch) < BATCH_EVENTS else 0.0)
                if upto is not None and batch[-1].seq > upto:
                    batch = [event for event in batch if event.seq <= upto]
                await self._reached(await self._read_model.apply(batch))
                if upto is not None and progress is not None:
                    progress(min(self._seq, upto), upto)
                if upto is not None and self._seq >= upto:
                    return
                await asyncio.sleep(next_at - loop.time())
        finally:
            await ahead.close()

    async def _reached(self, seq: LogSeq) -> None:
        async with self._moved:
            self._seq = seq
            self._moved.notify_all()


def _of_another_log(seq: LogSeq, why: str) -> LogGap:
    return LogGap(
        f"the read model stands at {seq}, but {why}: it was made from another log, or the log was restored "
        "from an older backup; rebuild it with `towpath replay --rebuild`"
    )


class _ReadAhead:
    """Reads ahead while a batch is being written, into a bounded buffer, and merges small batches."""

    def __init__(self, stream: AsyncIterator[Sequence[Recorded]]) -> None:
        self._stream = stream
        self._events: deque[Recorded] = deque()
        self._ended = False
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def take(self, limit: int) -> list[Recorded]:
        """Wait for events and return up to `limit` of them; [] when the stream has ended.

        Raises the stream's error once all events before it are taken.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._events or self._ended)
            taken = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
            self._changed.notify_all()
        if not taken:
            await self._reader
        return taken

    async def close(self) -> None:
        """Stop reading; idempotent."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()

    async def _read(self) -> None:
        try:
            async for batch in self._stream:
                async with self._changed:
                    await self._changed.wait_for(lambda: len(self._events) < AHEAD_EVENTS)
                    self._events.extend(batch)
                    self._changed.notify_all()
        finally:
            async with self._changed:
                self._ended = True
                self._changed.notify_all()
