"""Reads a finished range of the log as stored bytes.

For verification and checkpoint signing: messages are neither decoded nor filtered, and missing sequences are
left out. A read ends at its last sequence; later events need another read. After a lost connection or
consumer it continues from the position reached. PULL bounds the messages in flight. nats-py's own client
drops the bytes of headers, so with that client each message is a request to the leader.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.nats.client import Listening, Tappable
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from adapters.nats.message import TakeBytes
from domain.identifiers import LogSeq, read_log_seq
from domain.subjects import Stream

PULL = 2000
PULL_BYTES = 4 * 1024 * 1024
REQUESTS = 64
"""Concurrent requests, with a client that needs one request for each message."""
SILENT_SECONDS = 5.0
GIVE_UP_SECONDS = 60.0
RETRY_SECONDS = 0.2
_EVENT = b"$JS.ACK."
_SHORT_FORM = 9
_NOT_SENT = re.compile(rb"Nats-Pending-Messages: (\d+)")

Tap = Callable[[str, TakeBytes], Awaitable[Listening]]


class StoredBytes(NamedTuple):
    """One stored message. `block` is its header block."""

    seq: LogSeq
    subject: bytes
    block: bytes
    data: bytes

    def header_lines(self) -> list[bytes]:
        """The lines of the header block without the version line, in stored order."""
        return self.block[10:-4].split(b"\r\n") if len(self.block) > 14 else []


class RawLog:
    """Ranges of one stream; the NATS role `guest` may read them."""

    def __init__(self, connection: Client, stream: str = Stream.LOG) -> None:
        self._nc = connection
        self._api = JetStreamApi(connection, stream)

    async def last_seq(self) -> int:
        """The last sequence, from the leader."""
        return int((await self._api.info())["state"]["last_seq"])

    async def stretch(self, first: int, last: int) -> AsyncIterator[list[StoredBytes]]:
        """All stored messages from `first` to `last`, in order; `last` must exist or have existed.

        Raises:
            LogUnreachable: no message arrived for GIVE_UP_SECONDS.
        """
        position, tried = first - 1, 0.0
        loop = asyncio.get_running_loop()
        while position < last:
            reading = self._reading(position, last)
            try:
                await reading.open()
                while batch := await reading.next():
                    position, tried = batch[-1].seq, 0.0
                    yield batch
                # a lagging replica reports no pending messages: only the leader knows the end
                if position < last and await self._nothing_behind(position, last):
                    return
                if reading.ended and position < last:
                    raise LogUnreachable("a replica has not got as far as the leader yet")
            except (LogUnreachable, nats.errors.Error):
                tried = tried or loop.time()
                if self._nc.is_closed or loop.time() - tried > GIVE_UP_SECONDS:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                await reading.close()

    def _reading(self, position: int, last: int) -> _Reading | _Requests:
        if isinstance(self._nc, Tappable):
            return _Reading(self._nc, self._nc.tap, self._api, position, last)
        return _Requests(self._api, position, last)

    async def _nothing_behind(self, position: int, last: int) -> bool:
        """Whether the leader has no more messages up to `last`; a consumer would wait for them."""
        found = await self._api.next(">", position + 1)
        return found is None or found.seq > last


class _Requests:
    """Reads the messages after `position`, each by a request to the leader."""

    ended = False

    def __init__(self, api: JetStreamApi, position: int, last: int) -> None:
        self._api, self._position, self._last = api, position, last

    async def open(self) -> None:
        """Do nothing."""

    async def next(self) -> list[StoredBytes]:
        """The next messages, at least one; [] at the end."""
        while self._position < self._last:
            first, end = self._position + 1, min(self._position + REQUESTS, self._last)
            found = await asyncio.gather(*(self._api.get(seq) for seq in range(first, end + 1)))
            self._position = end
            batch = [
                StoredBytes(LogSeq(one.seq), one.subject.encode(), one.raw_headers, one.data)
                for one in found
                if one
            ]
            if batch:
                return batch
            behind = await self._api.next(">", end + 1)  # skip a long run of missing sequences
            self._position = self._last if behind is None else behind.seq - 1
        return []

    async def close(self) -> None:
        """Do nothing."""


class _Reading:
    """Reads the messages after `position` with one consumer."""

    def __init__(self, connection: Client, tap: Tap, api: JetStreamApi, position: int, last: int) -> None:
        self._nc, self._tap, self._api = connection, tap, api
        self._position, self._last = position, last
        self._name = f"raw-{secrets.token_hex(8)}"
        self._inbox = connection.new_inbox()
        self._listening: Listening | None = None
        self._connections = connection.stats["reconnects"]
        self._buffer: list[StoredBytes] = []
        self._filled = asyncio.Event()
        self._coming = 0
        self._gone = False
        self.ended = False

    async def open(self) -> None:
        """Create the consumer and request the first messages."""
        self._listening = await self._tap(self._inbox, self._take)
        waiting = await self._api.make_consumer(
            self._name,
            {
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self._position + 1,
                "ack_policy": "none",
                "mem_storage": True,
                "num_replicas": 1,
                "inactive_threshold": 30_000_000_000,
            },
        )
        self.ended = waiting == 0
        await self._pull()

    async def next(self) -> list[StoredBytes]:
        """The messages that have arrived, at least one; [] at the end or when the consumer is lost."""
        while not self._buffer and not self.ended and not self._gone:
            self._filled.clear()
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    await self._filled.wait()
            except TimeoutError:
                return []
            if self._nc.stats["reconnects"] != self._connections:
                return []
        batch, self._buffer = self._buffer, []
        if batch:
            self._position = batch[-1].seq
        await self._pull()
        return batch

    async def close(self) -> None:
        """Stop listening; the server deletes the inactive consumer."""
        if self._listening is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._listening.unsubscribe()

    def _take(self, subject: bytes, reply: bytes, block: bytes, data: bytes) -> None:
        if reply.startswith(_EVENT):
            tokens = reply.split(b".")
            at = 5 if len(tokens) == _SHORT_FORM else 7
            seq = read_log_seq(tokens[at])
            self._coming -= 1
            if seq <= self._last:
                self._buffer.append(StoredBytes(seq, subject, block, data))
            self.ended = self.ended or seq >= self._last or tokens[at + 3] == b"0"
        elif (not_sent := _NOT_SENT.search(block)) is not None:
            self._coming -= int(not_sent[1])
        else:
            self._gone = True
        self._filled.set()

    async def _pull(self) -> None:
        if self.ended or self._gone or self._coming > PULL // 2:
            return
        self._coming += PULL
        body = orjson.dumps({"batch": PULL, "max_bytes": PULL_BYTES, "expires": 30_000_000_000})
        await self._nc.publish(self._api.next_subject(self._name), body, reply=self._inbox)
