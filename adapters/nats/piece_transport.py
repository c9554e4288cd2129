"""The client's TCP transport, which hands over each received piece as it is.

asyncio's own stream copies every byte three times: into a buffer, out of it, and once more to make it bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import SupportsIndex
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

READ_BYTES = 256 * 1024
"""What is read from a connection at once, as much as uvloop reads; nats-py stops reading every 64 KiB."""


class PieceTransport(TcpTransport):
    """nats-py's transport with another reader, where there is no TLS, and with larger reads."""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """See nats-py. Raises TimeoutError, OSError."""
        loop = asyncio.get_running_loop()
        reader, host, port = PieceReader(max(buffer_size, READ_BYTES)), uri.hostname, uri.port
        assert host is not None
        assert port is not None, "nats-py adds one"
        async with asyncio.timeout(connect_timeout):
            transport, protocol = await loop.create_connection(
                lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port
            )
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    async def read(self, buffer_size: int) -> bytes:
        """See nats-py; with TLS its reads are larger, without they are pieces."""
        found: bytes = await super().read(max(buffer_size, READ_BYTES))
        return found


class PieceReader(asyncio.StreamReader):
    """A stream whose `read` returns the next piece, however many bytes were asked for."""

    def __init__(self, limit: int) -> None:
        """`limit`: twice so many bytes wait here at most, and one piece."""
        super().__init__(limit, asyncio.get_running_loop())
        self._most = limit
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = self._stopped = False
        self._flow: asyncio.ReadTransport | None = None
        self._came: asyncio.Future[None] | None = None

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().set_transport(transport)
        self._flow = transport if isinstance(transport, asyncio.ReadTransport) else None

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Keep a piece."""
        piece = bytes(data)  # of bytes no copy
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()
        if self._size > 2 * self._most and not self._stopped and self._flow is not None:
            with suppress(NotImplementedError):  # as asyncio's stream: this transport cannot wait
                self._flow.pause_reading()
                self._stopped = True

    def feed_eof(self) -> None:
        """See asyncio."""
        super().feed_eof()
        self._ended = True
        self._wake()

    def set_exception(self, exc: Exception) -> None:
        """See asyncio."""
        super().set_exception(exc)
        self._wake()

    def at_eof(self) -> bool:
        """Whether everything was read."""
        return self._ended and not self._pieces

    async def read(self, n: int = -1) -> bytes:
        """The next piece; empty at the end."""
        while not self._pieces or self.exception() is not None:
            error = self.exception()
            if error is not None:
                raise error
            if self._ended:
                return b""
            await self._wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._stopped and self._size <= self._most and self._flow is not None:
            self._stopped = False
            self._flow.resume_reading()
        return piece

    async def readline(self) -> bytes:
        """The next line; what is there of it at the end."""
        line = b""
        while not line.endswith(b"\n") and (piece := await self.read()):
            begin, end, rest = piece.partition(b"\n")
            line += begin + end
            if rest:
                self._pieces.appendleft(rest)
                self._size += len(rest)
        return line

    async def _wait(self) -> None:
        self._came = asyncio.get_running_loop().create_future()
        try:
            await self._came
        finally:
            self._came = None

    def _wake(self) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(None)
