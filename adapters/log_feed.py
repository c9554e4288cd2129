"""One consumer's life: the log behind a position, as it comes, until the consumer has to be made anew.

A pull consumer without acknowledgements: the reader's own position is the only one. The next messages are
asked for while half of the last ones are still to come, so the stream never pauses, and what is on its way
or buffered is bounded by what was asked for: a push consumer's window is 32 MB of messages, several times
that as objects. A parked request delivers a new event at once. Heartbeats tell an idle log from a lost
consumer, and what was sent from what has arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from adapters.jetstream_api import JetStreamApi
from adapters.lazy_event import LazyEvent
from adapters.nats_client import Arrived, listen
from domain.log import Recorded

PULL = 1000
PULL_BYTES = 4 * 1024 * 1024
PULL_SECONDS = 60.0
BUFFERED = 2000
HEARTBEAT_SECONDS = 1.0
SILENT_SECONDS = 4.0
CHECK_SECONDS = 0.5
INACTIVE_SECONDS = 30.0
_EVENT = "$JS.ACK."
_FIELDS = 9
_IDLE = "100"
_DELIVERED = "Nats-Last-Stream"
_NOT_SENT = "Nats-Pending-Messages"
_OVER = ("404", "408")
_OVER_TEXTS = ("batch completed", "exceeds maxbytes", "leadership change")


class LogFeed:
    """Events behind `position`; `open` it, take with `next`, `close` it whatever happened."""

    def __init__(self, connection: Client, api: JetStreamApi, position: int) -> None:
        self._nc = connection
        self._api = api
        self._position = position
        self._last = position
        self._subscription: Subscription | None = None
        self._connections = 0
        self._buffer: list[Recorded] = []
        self._filled = asyncio.Event()
        self._inbox = ""
        self._name = f"feed-{secrets.token_hex(8)}"
        self._coming = 0
        self._heard = 0.0
        self._gone = False
        self._error: Exception | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Make the consumer.

        Raises:
            LogUnreachable, nats.errors.Error: NATS or the stream is not there now.
        """
        self._connections = self._nc.stats["reconnects"]
        self._inbox = self._nc.new_inbox()
        self._subscription = await listen(self._nc, self._inbox, self._take)
        await self._api.make_consumer(
            self._name,
            {
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self._position + 1,
                "ack_policy": "none",
                "mem_storage": True,
                "num_replicas": 1,
                "inactive_threshold": _nanoseconds(INACTIVE_SECONDS),
            },
        )
        await self._pull()
        self._heard = asyncio.get_running_loop().time()

    async def next(self) -> list[Recorded] | None:
        """The next events, at least one; None when the consumer is gone.

        Raises:
            ValueError: what the log holds is not an event.
            nats.errors.Error: the connection is lost.
        """
        while not self._buffer:
            if self._error is not None:
                raise self._error
            if self._gone:
                return None
            self._filled.clear()
            await self._wait()
        batch, self._buffer = self._buffer, []
        self._heard = asyncio.get_running_loop().time()
        await self._pull()
        return batch

    async def close(self) -> None:
        """Stop listening; the server forgets the consumer by itself."""
        for asking in self._asking:
            asking.cancel()
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):  # wait_for may lose a cancellation
                await self._filled.wait()
        except TimeoutError:
            silent = asyncio.get_running_loop().time() - self._heard > SILENT_SECONDS
            if silent or self._nc.stats["reconnects"] != self._connections:
                self._gone = True

    def _take(self, message: Arrived) -> None:
        reply = message.reply
        if not reply.startswith(_EVENT):
            self._control(message)
            return
        try:
            tokens = reply.split(".")
            seq = int(tokens[5] if len(tokens) == _FIELDS else tokens[7])
            self._buffer.append(LazyEvent(seq, message))
            self._last = seq
        except Exception as error:
            self._error = self._error or error
        self._coming -= 1
        if self._coming == PULL // 2:
            self._ask()
        self._filled.set()

    def _control(self, message: Arrived) -> None:
        """A heartbeat, the end of a request, or that the consumer is gone."""
        headers = message.headers
        self._heard = asyncio.get_running_loop().time()
        status, text = headers.get("Status"), headers.get("Description", "").lower()
        if status == _IDLE:
            if int(headers.get(_DELIVERED, 0)) > self._last:
                self._lost()
            return
        if status in _OVER or any(known in text for known in _OVER_TEXTS):
            self._coming -= int(headers.get(_NOT_SENT, self._coming))
            self._ask()
            return
        self._lost()

    def _lost(self) -> None:
        """What was sent did not arrive, or nothing more will come: only another consumer brings it."""
        self._gone = True
        self._filled.set()

    def _ask(self) -> None:
        """Ask for more without waiting: the listener must not."""
        asking = asyncio.get_running_loop().create_task(self._pull())
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _pull(self) -> None:
        """Ask for more, if little is still to come and there is room."""
        if self._coming > PULL // 2 or len(self._buffer) >= BUFFERED:
            return
        self._coming += PULL
        body = orjson.dumps(
            {
                "batch": PULL,
                "max_bytes": PULL_BYTES,
                "expires": _nanoseconds(PULL_SECONDS),
                "idle_heartbeat": _nanoseconds(HEARTBEAT_SECONDS),
            }
        )
        with contextlib.suppress(nats.errors.Error):  # the silence that follows tells
            await self._nc.publish(self._api.next_subject(self._name), body, reply=self._inbox)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
