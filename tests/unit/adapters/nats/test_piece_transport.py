"""The client's own TCP transport, against a server that sends, waits, ends and resets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlparse

import pytest

from adapters.nats.piece_transport import PieceTransport
from tests.support.waiting import eventually

LIMIT = 64 * 1024
SECONDS = 30


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[PieceTransport, socket.socket]]:
    """The transport, and the server's end of it."""
    loop, transport = asyncio.get_running_loop(), PieceTransport()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        uri = urlparse(f"nats://127.0.0.1:{listening.getsockname()[1]}")
        await transport.connect(uri, LIMIT, SECONDS)
        peer, _ = await loop.sock_accept(listening)
    with peer:
        peer.setblocking(False)
        yield transport, peer
    transport.close()


async def test_lines_and_then_pieces_lose_no_byte() -> None:
    loop = asyncio.get_running_loop()
    async with connected() as (transport, peer):
        await loop.sock_sendall(peer, b"INFO {}\r\n+O")
        assert await transport.readline() == b"INFO {}\r\n"
        line = asyncio.create_task(transport.readline())
        await loop.sock_sendall(peer, b"K\r\nMSG")
        assert await line == b"+OK\r\n"
        data = bytes(range(256)) * 8000
        sending = asyncio.create_task(loop.sock_sendall(peer, data))
        found = b""
        while len(found) < 3 + len(data):
            found += await transport.read(LIMIT)
        await sending
        assert found == b"MSG" + data
        transport.writelines([b"SUB", b" x\r\n"])
        await transport.drain()
        assert await loop.sock_recv(peer, 100) == b"SUB x\r\n"


async def test_what_is_not_read_stays_with_the_sender() -> None:
    async with connected() as (transport, peer):
        data = bytes(64 << 20)
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(peer, data))
        writer = transport._io_writer
        assert writer is not None
        reading = writer.transport
        assert isinstance(reading, asyncio.ReadTransport)
        await eventually(lambda: not reading.is_reading(), SECONDS)
        assert not sending.done()
        found = 0
        while found < len(data):
            found += len(await transport.read(LIMIT))
        await sending
        assert reading.is_reading()


async def test_the_end_comes_behind_the_last_byte() -> None:
    loop = asyncio.get_running_loop()
    async with connected() as (transport, peer):
        await loop.sock_sendall(peer, b"last")
        peer.close()
        assert await transport.read(LIMIT) == b"last"
        assert await transport.read(LIMIT) == b""
        assert transport.at_eof()
        assert await transport.readline() == b""


async def test_a_reset_is_an_error() -> None:
    async with connected() as (transport, peer):
        reading = asyncio.create_task(transport.read(LIMIT))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(ConnectionResetError):
            await reading
