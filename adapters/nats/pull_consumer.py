"""Pull consumer: keeps requests open on a JetStream consumer until the consumer is lost.

The next messages are requested when half of the last ones have arrived, so that delivery never pauses; the
requests bound the messages in flight. An open request delivers a new message at once. Heartbeats distinguish
an idle consumer from a lost one. nats-py's own `fetch` uses a timer and a task for each message, and a status
message that arrives just after its timer leaves it with two open requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.nats.client import Listening, listen
from adapters.nats.message import Arrived, Take
from domain.identifiers import LogSeq, read_log_seq

DRAIN_SECONDS = 2.0
QUIET_SECONDS = 0.05
_DELIVERED = "$JS.ACK."
_SHORT = 9
_BEHIND_DOMAIN = 2
_IDLE = "100"
_NOT_SENT = "Nats-Pending-Messages"
_OVER = ("404", "408")
_OVER_TEXTS = ("batch completed", "exceeds maxbytes", "leadership change")


@dataclass(frozen=True, slots=True)
class PullTiming:
    """A request stays open for `request_seconds`, at least two heartbeats.

    After `silent_seconds` without a message or a heartbeat the consumer counts as lost.
    """

    request_seconds: float
    heartbeat_seconds: float = 1.0
    silent_seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Parsed reply subject: `seq` in the stream, `tries` (deliveries so far), `at` (time of storing)."""

    seq: int
    tries: int
    at: datetime


def delivery(reply: str) -> Delivery:
    """Parse `$JS.ACK.<stream>.<consumer>.<tries>.<seq>.<number>.<nanoseconds>.<pending>`."""
    tokens = _numbers(reply)
    seconds, nanoseconds = divmod(int(tokens[3]), 1_000_000_000)
    at = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanoseconds // 1000)
    return Delivery(int(tokens[1]), int(tokens[0]), at)


def stream_seq(reply: str) -> LogSeq:
    """Only the `seq` of `delivery`; every fold needs it for every event."""
    tokens = reply.split(".")
    return read_log_seq(tokens[5] if len(tokens) == _SHORT else tokens[5 + _BEHIND_DOMAIN])


def tries(reply: str) -> int:
    """Only the `tries` of `delivery`."""
    return int(_numbers(reply)[0])


def _numbers(reply: str) -> list[str]:
    """The tokens after the consumer's name. The long form begins with a domain and an account."""
    tokens = reply.split(".")
    return tokens[4:] if len(tokens) == _SHORT else tokens[4 + _BEHIND_DOMAIN :]


class Pull:
    """Messages of one consumer; `subject` is where its next messages are requested.

    `take` is called for each message, and must neither block nor raise. A request is for `batch` messages; no
    request is made while `room` returns False. `idle` is called with each heartbeat, `lost` when the consumer
    or the connection is lost; a new Pull must then go on.
    """

    def __init__(
        self,
        connection: Client,
        subject: str,
        take: Take,
        *,
        batch: int,
        timing: PullTiming,
        room: Callable[[], bool],
        lost: Callable[[], None],
        idle: Callable[[Arrived], None] = lambda _: None,
        max_bytes: int | None = None,
    ) -> None:
        self._nc = connection
        self._subject = subject
        self._take = take
        self._batch = batch
        self._few = batch // 2
        self._silent_seconds = timing.silent_seconds
        self._room = room
        self._lost = lost
        self._idle = idle
        self.gone = False
        self._closed = False
        body: dict[str, int] = {
            "batch": batch,
            "expires": nanoseconds(timing.request_seconds),
            "idle_heartbeat": nanoseconds(timing.heartbeat_seconds),
        }
        self._request = orjson.dumps(body if max_bytes is None else {**body, "max_bytes": max_bytes})
        self._listening: Listening | None = None
        self._inbox = ""
        self._connections = 0
        self._coming = 0
        self._heard = 0.0
        self._came = False
        self._asking: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Subscribe to the inbox, before the first request. Raises nats.errors.Error."""
        self._connections = self._nc.stats["reconnects"]
        self._inbox = self._nc.new_inbox()
        self._listening = await listen(self._nc, self._inbox, self._arrived)

    async def request(self) -> None:
        """Request the first messages."""
        self._heard = asyncio.get_running_loop().time()
        await self._ask()

    async def close(self) -> None:
        """Stop listening and requesting."""
        self._closed = True
        for asking in self._asking:
            asking.cancel()
        if self._listening is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._listening.unsubscribe()

    async def drain(self) -> None:
        """Ask no more, take what the server has sent already, and be gone.

        While messages come, the rest of what was asked for is on its way; afterwards the server is told.
        """
        self._closed = True
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                coming = 0
                # as long as the number still falls, messages are on their way
                while coming != self._coming > 0:
                    coming = self._coming
                    await asyncio.sleep(QUIET_SECONDS)
                if self._listening is not None:
                    await self._listening.drain()
        self.lose()

    def more(self) -> None:
        """Request more messages, if there is room and few are outstanding."""
        if self._wanting():
            asking = asyncio.get_running_loop().create_task(self._ask())
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    def check(self) -> None:
        """Declare the consumer lost after a silence or a reconnect; to be called periodically."""
        now = asyncio.get_running_loop().time()
        # without an open request the server owes no heartbeat, so silence means nothing
        if self._came or self._coming <= 0:
            self._came, self._heard = False, now
        if now - self._heard > self._silent_seconds or self._nc.stats["reconnects"] != self._connections:
            self.lose()

    def lose(self) -> None:
        """Declare the consumer lost."""
        self.gone = True
        self._lost()

    def _wanting(self) -> bool:
        return self._coming <= self._few and self._room() and not (self.gone or self._closed)

    async def _ask(self) -> None:
        if not self._wanting():
            return
        self._coming += self._batch
        self._came = True  # an answer takes a moment
        with contextlib.suppress(nats.errors.Error):  # `check` notices the silence that follows
            await self._nc.publish(self._subject, self._request, reply=self._inbox)

    def _arrived(self, message: Arrived) -> None:
        self._came = True
        if not message.reply.startswith(_DELIVERED):
            self._control(message)
            return
        self._coming -= 1
        self._take(message)
        if self._coming == self._few:
            self.more()

    def _control(self, message: Arrived) -> None:
        """Handle a status message: a heartbeat, the end of a request, or the loss of the consumer."""
        headers = message.headers
        status, text = headers.get("Status"), headers.get("Description", "").lower()
        if status == _IDLE:
            self._idle(message)
        elif status in _OVER or any(known in text for known in _OVER_TEXTS):
            # a request ended early: the server names how many of its messages will not come
            self._coming -= int(headers.get(_NOT_SENT, self._coming))
            self.more()
        else:
            self.lose()


def nanoseconds(seconds: float) -> int:
    """`seconds` in nanoseconds, as JetStream expects durations."""
    return int(seconds * 1_000_000_000)
