"""The two channels between the runner and a guard: orders to guard and shim, and what they say.

Each is a socket pair for one direction. With one pair for both, a write to a guard that has just ended would
discard what it had said.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
MAX_DRAINED_BYTES = 64 * 1024


class Channels:
    """The runner's ends."""

    def __init__(
        self, orders: asyncio.WriteTransport, reading: asyncio.ReadTransport, said: asyncio.StreamReader
    ) -> None:
        self._orders = orders
        self._reading = reading
        self._said = said

    def send(self, line: bytes) -> None:
        """Send an order, unless orders have ended."""
        if not self._orders.is_closing():
            self._orders.write(line)

    def end_orders(self) -> None:
        """Let guard and shim read the end of their orders, after all that was sent: they end the job."""
        self._orders.close()

    async def line(self) -> bytes:
        """The next line that was said, with its end. Raises OSError; ValueError if it is too long."""
        return await self._said.readline()

    def end_hearing(self) -> None:
        """Let `line` and `drain` come to an end after what has been received."""
        self._reading.close()

    async def drain(self) -> None:
        """Discard what is said, to the end: guard and shim must not wait for a reader."""
        while await self._said.read(MAX_DRAINED_BYTES):
            pass

    def close(self) -> None:
        self._orders.close()
        self._reading.close()


async def open_channels(start: Callable[[int, int], Awaitable[T]]) -> tuple[T, Channels]:
    """Call `start` with the other side's descriptors, for its standard input and output.

    They are closed here afterwards: then the end of what is said means that no process holds them any more.
    Raises what `start` raises, and OSError if this process can open no more files.
    """
    with contextlib.ExitStack() as opened:
        orders, ordered = map(opened.enter_context, socket.socketpair())
        said, saying = map(opened.enter_context, socket.socketpair())
        channels = await _connected(orders, said)
        opened.pop_all()  # the transports own them
        with ordered, saying:
            try:
                return await start(ordered.fileno(), saying.fileno()), channels
            except BaseException:
                channels.close()
                raise


async def _connected(orders: socket.socket, said: socket.socket) -> Channels:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), said)
    try:
        writing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, orders)
    except BaseException:
        reading.close()  # else the loop takes the next file of this number for watched already
        raise
    return Channels(writing, reading, reader)
