"""nats-py's client with faster parsing and publishing. Only `adapters.nats.client` imports it.

Ordinary messages are cut from the buffer without regular expressions, headers are parsed on first use, and
`listen` and `tap` call a function at once instead of passing a message through a queue and a task. Anything
unusual is left to nats-py's own code; tests compare every replaced method with the original.
docs/adr/0030-fast-nats-client.md gives the reason and the measurement for each private member used.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import nats.errors
from nats.aio.client import Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.protocol.command import HPUB_OP, PUB_OP, hpub_cmd, pub_cmd

from adapters.nats.message import Arrived, Take, TakeBytes
from adapters.nats.parser import FastParser
from adapters.nats.piece_transport import READ_BYTES, PieceTransport
from adapters.nats.plain_client import PlainClient

LARGE_BYTES = 64 * 1024
"""From here on a payload is handed to the system as it is: joining it with its command copies it twice."""
_LINE_END = b"\r\n"
_PLAIN_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class FastClient(PlainClient):
    """A client for streams whose messages carry many headers."""

    _names: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.takers: dict[int, TakeBytes] = {}
        self._ps = FastParser(self)

    async def subscribe(self, *args: Any, **options: Any) -> Subscription:
        """Subscribe as in nats-py; `next_msg` returns a message that has already arrived without waiting."""
        subscription = await super().subscribe(*args, **options)
        subscription.__class__ = _QuickSubscription
        return subscription

    async def listen(self, subject: str, take: Take) -> Listening:
        """Subscribe; `take` is called for each message as it is read, and must neither block nor raise."""

        def arrived(subject: bytes, reply: bytes, block: bytes, data: bytes) -> None:
            take(Arrived(subject.decode(), reply.decode(), data, block))

        return await self.tap(subject, arrived)

    async def tap(self, subject: str, take: TakeBytes) -> Listening:
        """As `listen`, without creating an object for each message, for readers of a whole log."""
        subscription = await self.subscribe(subject, pending_msgs_limit=0, pending_bytes_limit=0)
        self.takers[subscription._id] = take
        return Listening(self, subscription)

    async def _connect_to_server(self, s: Srv) -> None:
        """Connect; the first connection makes the transport, which later ones keep."""
        if not self._transport and s.uri.scheme in ("nats", "tls"):
            s.last_attempt = time.monotonic()
            self._transport = PieceTransport()  # type: ignore[no-untyped-call]
            await self._transport.connect(s.uri, READ_BYTES, self.options["connect_timeout"])
        else:
            await super()._connect_to_server(s)

    async def _flush_once(self, timeout: int) -> None:
        """As in nats-py, which says that all is well where no task reads or writes any more."""
        if any(task is None or task.done() for task in (self._reading_task, self._flusher_task)):
            raise nats.errors.StaleConnectionError
        await super()._flush_once(timeout)

    async def _send_publish(
        self, subject: str, reply: str, payload: bytes, payload_size: int, headers: dict[str, Any] | None
    ) -> None:
        """Send one message; the header block is built at once if that gives the same bytes as nats-py.

        A payload from LARGE_BYTES on must stay as it is until a `flush` has returned.
        """
        block = self._block(headers) if headers and subject else None
        if not subject or (headers is not None and block is None) or self._max_pending_size > 0:
            await super()._send_publish(subject, reply, payload, payload_size, headers)
            return
        pieces: list[bytes]
        if payload_size >= LARGE_BYTES and isinstance(self._transport, PieceTransport):
            pieces = [_large_head(subject, reply, block, payload_size), payload, _LINE_END]
        elif block is None:
            pieces = [pub_cmd(subject, reply, payload)]
        else:
            pieces = [hpub_cmd(subject, reply, block, payload)]
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        self._pending += pieces
        self._pending_data_size += sum(map(len, pieces))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    def _block(self, headers: Mapping[str, str]) -> bytes | None:
        """The header block, or None if a name or a value needs nats-py's escaping or checks."""
        if not self._names.issuperset(headers):
            if not all(name and _PLAIN_NAME.issuperset(name) for name in headers) or len(self._names) > 100:
                return None
            self._names |= frozenset(headers)
        text = "".join([name + ": " + value + "\r\n" for name, value in headers.items()])
        if text.count("\n") != len(headers) or text.count("\r") != len(headers):
            return None
        return f"NATS/1.0\r\n{text}\r\n".encode()


def _large_head(subject: str, reply: str, block: bytes | None, size: int) -> bytes:
    """A command up to its payload."""
    if block is None:
        return f"{PUB_OP} {subject} {reply} {size}\r\n".encode()
    return f"{HPUB_OP} {subject} {reply} {len(block)} {len(block) + size}\r\n".encode() + block


class Listening:
    """A subscription whose messages are passed to a function until `unsubscribe`."""

    def __init__(self, client: FastClient, subscription: Subscription) -> None:
        self._takers = client.takers
        self._subscription = subscription

    async def unsubscribe(self) -> None:
        """End the subscription. Raises nats.errors.Error."""
        self._takers.pop(self._subscription._id, None)
        await self._subscription.unsubscribe()

    async def drain(self) -> None:
        """Let no more messages come than the server has sent. Raises nats.errors.Error."""
        try:
            await self._subscription.drain()
        finally:
            self._takers.pop(self._subscription._id, None)


class _QuickSubscription(Subscription):
    """A subscription that creates tasks and a timer only for a message that has not arrived yet."""

    async def next_msg(self, timeout: float | None = 1.0) -> Msg:
        """See nats-py."""
        at_once = timeout is None or timeout > 0
        if not at_once or self._cb or self._conn.is_closed or self._pending_queue.empty():
            return await super().next_msg(timeout)
        message = self._pending_queue.get_nowait()
        self._pending_size -= len(message.data)
        self._pending_queue.task_done()
        return message
