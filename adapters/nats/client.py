"""The fast NATS client: nats-py's with a shorter path in and out.

Every process of the control plane reads every event, each event has a dozen headers, and each append is a
request with a reply: parsing and queueing them was most of what a process did. Here the usual messages are
cut from the buffer without regular expressions, headers are parsed only when somebody asks for them, and
`listen` and `tap` hand a message to a function at once instead of through a queue and a task. Whatever is out
of the ordinary takes nats-py's own way; tests hold every replaced method to what the original does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import ParseResult

from nats.aio.client import DEFAULT_BUFFER_SIZE, Client, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.command import hpub_cmd, pub_cmd

from adapters.nats.message import Arrived, Take, TakeBytes, parse_lines
from adapters.nats.parser import FastParser

_PLAIN_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_PING = b"PING\r\n"
_CONNECT = b"CONNECT "
_CANCEL_AGAIN_SECONDS = 0.1


async def listen(connection: Client, subject: str, take: Take) -> Subscription:
    """Let `take` be called for each message on `subject`, on any of nats-py's clients."""
    if isinstance(connection, FastClient):
        return await connection.listen(subject, take)

    async def arrived(message: Msg) -> None:
        take(Arrived(message.subject, message.reply, message.data, b"", message.headers or {}))

    return await connection.subscribe(subject, cb=arrived, pending_msgs_limit=0, pending_bytes_limit=0)


class FastClient(Client):
    """A Client for streams whose messages carry many headers."""

    _names: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self._ps = FastParser(self)
        self.takers: dict[int, Take] = {}
        self._taps: dict[int, TakeBytes] = {}

    async def subscribe(self, *args: Any, **options: Any) -> Subscription:
        """As nats-py's; who asks for a message that is there already gets it at once."""
        subscription = await super().subscribe(*args, **options)
        subscription.__class__ = _QuickSubscription
        return subscription

    async def listen(self, subject: str, take: Take) -> Subscription:
        """Subscribe; `take` is called for each message as it is read. It must not block and not raise."""
        subscription = await self.subscribe(subject, pending_msgs_limit=0, pending_bytes_limit=0)
        self.takers[subscription._id] = take
        return subscription

    async def tap(self, subject: str, take: TakeBytes) -> Subscription:
        """As `listen`, for who reads a whole log: a million messages should not each cost an object."""
        subscription = await self.subscribe(subject, pending_msgs_limit=0, pending_bytes_limit=0)
        self._taps[subscription._id] = take
        return subscription

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self.takers.pop(sid, None)
        self._taps.pop(sid, None)
        super()._remove_sub(sid, max_msgs)

    def hand_over(self, sid: int, subject: bytes, reply: bytes, data: bytes, raw_headers: bytes) -> bool:
        """Give one message to its listener; False where it has none, and is one of nats-py's own."""
        take = self.takers.get(sid)
        if take is not None:
            take(Arrived(subject.decode(), reply.decode(), data, raw_headers))
        else:
            tapped = self._taps.get(sid)
            if tapped is None:
                return False
            tapped(subject, reply, raw_headers, data)
        stats = self.stats
        stats["in_msgs"] += 1
        stats["in_bytes"] += len(data)
        return True

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        return parse_lines(raw)

    async def _send_publish(
        self, subject: str, reply: str, payload: bytes, payload_size: int, headers: dict[str, Any] | None
    ) -> None:
        """Send one message; the header block is made in one go where that is the same."""
        if not headers and subject:
            command = pub_cmd(subject, reply, payload) if headers is None else None
        else:
            block = self._block(headers) if headers and subject else None
            command = None if block is None else hpub_cmd(subject, reply, block, payload)
        if command is None or self._max_pending_size > 0:
            await super()._send_publish(subject, reply, payload, payload_size, headers)
            return
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        """Send it behind all that waits to be written, so that `flush` says what it promises.

        nats-py's own overtakes a subscription that was just made: who publishes on another connection after
        that pong may be too early for it.
        """
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        await self._send_command(_PING)
        await self._flush_pending()

    async def _connect_to_server(self, s: Srv) -> None:
        """Connect, over a transport that lets the server say why it refuses."""
        if self._transport or s.uri.scheme not in ("nats", "tls") or self.options["verbose"]:
            await super()._connect_to_server(s)
            return
        s.last_attempt = time.monotonic()
        transport = _Transport()
        await transport.connect(s.uri, DEFAULT_BUFFER_SIZE, self.options["connect_timeout"])
        self._transport = transport

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """End, and end the search for a server first.

        nats-py cancels that search once and goes on. Where this meets the end of an attempt to connect,
        `asyncio.wait_for` of Python 3.11 loses it: the search never ends, and with it the end of the
        event loop. Where it meets the wait for the old connection's end, that wait is canceled for `_close`
        too, and its caller takes that for a cancellation of its own.
        """
        search = self._reconnection_task
        if search is not None and search is not asyncio.current_task() and not search.done():
            if self._transport is not None:
                self._transport.close()
                with contextlib.suppress(OSError):
                    await self._transport.wait_closed()
            while not search.done():
                search.cancel()
                await asyncio.wait({search}, timeout=_CANCEL_AGAIN_SECONDS)
        await super()._close(status, do_cbs)

    def _block(self, headers: Mapping[str, str]) -> bytes | None:
        """The header block, or None where a name or a value needs nats-py's care."""
        if not self._names.issuperset(headers):
            if not all(name and _PLAIN_NAME.issuperset(name) for name in headers) or len(self._names) > 100:
                return None
            self._names |= frozenset(headers)
        text = "".join([name + ": " + value + "\r\n" for name, value in headers.items()])
        if text.count("\n") != len(headers) or text.count("\r") != len(headers):
            return None
        return f"NATS/1.0\r\n{text}\r\n".encode()


class _QuickSubscription(Subscription):
    """Makes two tasks and a timer for the next message only where it has not come yet."""

    async def next_msg(self, timeout: float | None = 1.0) -> Msg:
        """See nats-py."""
        at_once = timeout is None or timeout > 0
        if not at_once or self._cb or self._conn.is_closed or self._pending_queue.empty():
            return await super().next_msg(timeout)
        message = self._pending_queue.get_nowait()
        self._pending_size -= len(message.data)
        self._pending_queue.task_done()
        return message


class _Transport(TcpTransport):
    """Sends CONNECT and the PING behind it as one, and nothing once the connection is lost.

    A server that refuses a CONNECT says why and closes. Were the PING still on its way, the kernel would
    answer it with a reset, and that would discard the server's reason unread.

    The reader says that it is lost. On uvloop a write would raise RuntimeError, also out of `close`.
    """

    def __init__(self) -> None:
        TcpTransport.__init__(self)
        self._held = b""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open a connection; what the one before held back is forgotten."""
        self._held = b""
        await super().connect(uri, buffer_size, connect_timeout)

    def write(self, payload: bytes) -> None:
        """Send `payload`; a CONNECT waits for what follows it."""
        if payload.startswith(_CONNECT):
            self._held = payload
            return
        if not self._lost():
            TcpTransport.write(self, self._held + payload)
        self._held = b""

    def writelines(self, payload: list[bytes]) -> None:
        """Send all of it."""
        if not self._lost():
            TcpTransport.writelines(self, payload)

    async def drain(self) -> None:
        """Wait until there is room to write, for as long as there is a connection."""
        try:
            await TcpTransport.drain(self)
        except OSError:
            if not self._lost():
                raise

    def _lost(self) -> bool:
        return self._io_writer is not None and self._io_writer.is_closing()
