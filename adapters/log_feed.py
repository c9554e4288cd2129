"""One consumer's life: the log behind a position, as it comes, until the consumer has to be made anew.

A push consumer without acknowledgements: the reader's own position is the only one. nats-py's ordered
consumer answers the server's flow control at once, whatever the reader's speed, then drops what it cannot
hold; here the answer waits until there is room, so a slow reader loses nothing and memory stays bounded
(by the server's window of 32 MB). Heartbeats tell an idle log from a lost consumer.
"""

from __future__ import annotations

import asyncio
import contextlib

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from adapters.codec import decode
from adapters.jetstream_api import JetStreamApi
from domain.log import Recorded

BUFFERED = 4096
HEARTBEAT_SECONDS = 1.0
SILENT_SECONDS = 4.0
CHECK_SECONDS = 0.5
_EVENT = "$JS.ACK."
_FIELDS = 9
_IDLE = "100"
_STALLED = "Nats-Consumer-Stalled"


class LogFeed:
    """Events behind `position`; `open` it, take with `next`, `close` it whatever happened."""

    def __init__(self, connection: Client, api: JetStreamApi, position: int) -> None:
        self._nc = connection
        self._api = api
        self._position = position
        self._subscription: Subscription | None = None
        self._connections = 0
        self._buffer: list[Recorded] = []
        self._filled = asyncio.Event()
        self._answer_to = ""
        self._heard = 0.0
        self._gone = False
        self._error: Exception | None = None

    async def open(self) -> None:
        """Make the consumer.

        Raises:
            LogUnreachable, nats.errors.Error: NATS or the stream is not there now.
        """
        self._connections = self._nc.stats["reconnects"]
        inbox = self._nc.new_inbox()
        self._subscription = await self._nc.subscribe(
            inbox, cb=self._take, pending_msgs_limit=0, pending_bytes_limit=0
        )
        config = {
            "deliver_subject": inbox,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._position + 1,
            "ack_policy": "none",
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1_000_000_000),
            "mem_storage": True,
            "num_replicas": 1,
        }
        await self._api.make_consumer(config)
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
        if self._answer_to:
            await self._answer()
        return batch

    async def close(self) -> None:
        """Stop listening; the server forgets the consumer by itself."""
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

    async def _take(self, message: Msg) -> None:
        reply = message.reply
        if not reply.startswith(_EVENT):
            await self._control(message)
            return
        try:
            tokens = reply.split(".")
            seq = int(tokens[5] if len(tokens) == _FIELDS else tokens[7])
            self._buffer.append(decode(seq, message.subject, message.headers or {}, message.data))
        except Exception as error:
            self._error = self._error or error
        self._filled.set()

    async def _control(self, message: Msg) -> None:
        """A heartbeat, the server's question whether there is room, or that the consumer is gone."""
        headers = message.headers or {}
        self._heard = asyncio.get_running_loop().time()
        if headers.get("Status") != _IDLE:
            self._gone = True
            self._filled.set()
            return
        self._answer_to = message.reply or headers.get(_STALLED, "")
        if self._answer_to and len(self._buffer) < BUFFERED:
            await self._answer()

    async def _answer(self) -> None:
        subject, self._answer_to = self._answer_to, ""
        with contextlib.suppress(nats.errors.Error):  # asked again with the next heartbeat
            await self._nc.publish(subject)
