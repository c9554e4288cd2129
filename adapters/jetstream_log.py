"""Reads the log in its total order: live from any sequence, by pages, or single events.

The live reader is a push consumer without acknowledgements: each reader keeps its own position, so a
crash loses nothing and redelivery cannot disturb the order. nats-py's ordered consumer may skip
messages after it dropped some, so contiguity is checked here: a hole is read again once, and if the
log itself has it, LogGap stops the reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from adapters.codec import decode
from adapters.jetstream_api import JetStreamApi, LogUnreachable
from domain.log import Recorded
from domain.ports import LogGap

BUFFERED = 4096
IDLE_CHECK_SECONDS = 5.0
RETRY_SECONDS = 0.5
PENDING_MESSAGES = 65536
PENDING_BYTES = 64 * 1024 * 1024


class JetStreamLogReader:
    """Port `LogReader` on stream TOWPATH."""

    def __init__(self, connection: Client, api: JetStreamApi, stream: str = "TOWPATH") -> None:
        self._nc = connection
        self._api = api
        self._stream = stream

    async def last_seq(self) -> int:
        """See the port."""
        return int((await self._api.info())["state"]["last_seq"])

    async def last_seq_of(self, subject: str) -> int:
        """See the port."""
        last = await self._api.last(subject)
        return last.seq if last else 0

    async def page(self, after_seq: int, limit: int, subject: str | None = None) -> list[Recorded]:
        """See the port."""
        raw = await self._api.batch(subject or "towpath.*.*.*", after_seq + 1, limit)
        return [message.decoded() for message in raw]

    async def at(self, seqs: Sequence[int]) -> list[Recorded]:
        """See the port."""
        found = await asyncio.gather(*(self._api.get(seq) for seq in seqs))
        return [message.decoded() for message in found if message is not None]

    async def follow(self, after_seq: int) -> AsyncIterator[Sequence[Recorded]]:
        """See the port. Survives restarts of the server and lost consumers."""
        position, suspect = after_seq, 0
        while True:
            feed = _Feed(self._nc, self._api, self._stream, position)
            try:
                async for batch in feed.batches():
                    hole = _first_hole(batch, position)
                    whole = batch if hole is None else batch[:hole]
                    if whole:
                        position = whole[-1].seq
                        yield whole
                    if hole is not None:
                        break
                if hole is not None and suspect == position:
                    raise LogGap(f"the log has no event at sequence {position + 1}; run `towpath doctor`")
                suspect = position
            except (LogUnreachable, nats.errors.Error, TimeoutError):
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                await feed.close()


def _first_hole(batch: Sequence[Recorded], position: int) -> int | None:
    """The index of the first event that does not follow on, or None."""
    if batch[-1].seq == position + len(batch):
        return None
    return next(index for index, event in enumerate(batch) if event.seq != position + index + 1)


class _Feed:
    """One consumer's life: ends (StopAsyncIteration) when it has to be made anew."""

    def __init__(self, connection: Client, api: JetStreamApi, stream: str, position: int) -> None:
        self._nc = connection
        self._api = api
        self._stream = stream
        self._position = position
        self._buffer: list[Recorded] = []
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._error: Exception | None = None
        self._subscription: nats.js.JetStreamContext.PushSubscription | None = None

    async def batches(self) -> AsyncIterator[list[Recorded]]:
        await self._subscribe()
        while True:
            try:
                await asyncio.wait_for(self._filled.wait(), IDLE_CHECK_SECONDS)
            except TimeoutError:
                if await self._is_stalled():
                    return
                continue
            if self._error is not None:
                raise self._error
            batch, self._buffer = self._buffer, []
            self._filled.clear()
            self._room.set()
            self._position = batch[-1].seq
            yield batch

    async def close(self) -> None:
        if self._subscription is not None:
            try:
                await self._subscription.unsubscribe()
            except (nats.errors.Error, nats.js.errors.Error):
                return

    async def _subscribe(self) -> None:
        self._subscription = await self._nc.jetstream().subscribe(
            "towpath.*.*.*",
            stream=self._stream,
            cb=self._take,
            ordered_consumer=True,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._position + 1,
                ack_policy=AckPolicy.NONE,
                mem_storage=True,
            ),
            pending_msgs_limit=PENDING_MESSAGES,
            pending_bytes_limit=PENDING_BYTES,
        )

    async def _take(self, message: Msg) -> None:
        try:
            seq = int(message.reply.split(".")[5])
            self._buffer.append(decode(seq, message.subject, message.headers or {}, message.data))
        except Exception as error:
            self._error = error
        self._filled.set()
        if len(self._buffer) >= BUFFERED:
            self._room.clear()
            await self._room.wait()

    async def _is_stalled(self) -> bool:
        """Whether the log has more while nothing arrives: the consumer is gone."""
        last_seq = int((await self._api.info())["state"]["last_seq"])
        return last_seq > self._position and not self._filled.is_set()
