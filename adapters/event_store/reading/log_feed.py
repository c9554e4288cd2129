"""Log feed: one ordered consumer from a position on, until it has to be recreated.

A pull consumer without acknowledgements: the reader alone keeps the position. Pull requests bound the
messages in flight and in the buffer; a push consumer's window would be 32 MB of messages, and several times
that as objects. Heartbeats name the last message sent, and so reveal a lost one.
"""

from __future__ import annotations

import asyncio
import secrets

from nats.aio.client import Client

from adapters.event_store.reading.lazy_event import LazyEvent
from adapters.nats.jetstream_api import JetStreamApi
from adapters.nats.message import Arrived
from adapters.nats.pull_consumer import Pull, PullTiming, nanoseconds, stream_seq
from domain.log.record import Recorded

PULL = 1000
PULL_BYTES = 4 * 1024 * 1024
TIMING = PullTiming(request_seconds=60.0)
BUFFERED = 2000
CHECK_SECONDS = 0.5
INACTIVE_SECONDS = 30.0
_LAST_SENT = "Nats-Last-Stream"


class LogFeed:
    """Events after `position`. Call `open`, then `next` repeatedly, and always `close`."""

    def __init__(
        self, connection: Client, api: JetStreamApi, position: int, timing: PullTiming = TIMING
    ) -> None:
        self._api = api
        self._position = position
        self._last = position
        self._buffer: list[Recorded] = []
        self._filled = asyncio.Event()
        self._name = f"feed-{secrets.token_hex(8)}"
        self._error: Exception | None = None
        self._pull = Pull(
            connection,
            api.next_subject(self._name),
            self._take,
            batch=PULL,
            timing=timing,
            max_bytes=PULL_BYTES,
            room=lambda: len(self._buffer) < BUFFERED,
            lost=self._filled.set,
            idle=self._idle,
        )

    async def open(self) -> None:
        """Create the consumer.

        Raises:
            LogUnreachable, nats.errors.Error: NATS or the stream is unavailable.
        """
        await self._pull.open()
        await self._api.make_consumer(
            self._name,
            {
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self._position + 1,
                "ack_policy": "none",
                "mem_storage": True,
                # losing it costs a new consumer, replicating it would cost each event
                "num_replicas": 1,
                "inactive_threshold": nanoseconds(INACTIVE_SECONDS),
            },
        )
        await self._pull.request()

    async def next(self) -> list[Recorded] | None:
        """The next events, at least one; None when the consumer is lost.

        Raises:
            ValueError: a message of the log is not an event of Towpath.
        """
        while not self._buffer:
            if self._error is not None:
                raise self._error
            if self._pull.gone:
                return None
            self._filled.clear()
            await self._wait()
        batch, self._buffer = self._buffer, []
        self._pull.more()
        return batch

    async def close(self) -> None:
        """Stop listening; the server deletes the inactive consumer."""
        await self._pull.close()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):  # wait_for can lose a cancellation
                await self._filled.wait()
        except TimeoutError:
            self._pull.check()

    def _take(self, message: Arrived) -> None:
        try:
            seq = stream_seq(message.reply)
            self._buffer.append(LazyEvent(seq, message))
            self._last = seq
        except Exception as error:
            self._error = self._error or error
        self._filled.set()

    def _idle(self, heartbeat: Arrived) -> None:
        """Give the consumer up if the server has sent more than has arrived: it will not send it again."""
        if int(heartbeat.headers.get(_LAST_SENT, 0)) > self._last:
            self._pull.lose()
