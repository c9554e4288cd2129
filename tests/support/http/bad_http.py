"""An HTTP server that answers as nobody should: trickling, endless, compressed to a bomb, or elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from typing import Literal

Kind = Literal["trickle-head", "trickle-body", "endless", "bomb", "redirect", "silent"]
BOMB = gzip.compress(bytes(64 * 1024 * 1024))


class BadHttp:
    """`served`: how many bytes of bodies were taken from it."""

    def __init__(self, kind: Kind, location: str = "") -> None:
        self.kind, self.location = kind, location
        self.served = 0
        self.asked = 0
        self.accepted_encodings: list[str] = []
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> BadHttp:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._tasks.add(this)
        try:
            await self._converse(reader, writer)
        finally:
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked += 1
                self.accepted_encodings.append(headers.get("accept-encoding", ""))
                await self._answer(writer)

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        match self.kind:
            case "silent":
                await asyncio.Event().wait()
            case "trickle-head":
                writer.write(b"HTTP/1.1 202 X\r\n")
                while True:
                    await self._body(writer, b"X-More: x\r\n")
                    await asyncio.sleep(0.05)
            case "trickle-body":
                writer.write(b"HTTP/1.1 202 X\r\nContent-Length: 1000000\r\n\r\n")
                while True:
                    await self._body(writer, b"x")
                    await asyncio.sleep(0.05)
            case "endless":
                writer.write(b"HTTP/1.1 202 X\r\nContent-Length: 400000000\r\n\r\n")
                while self.served < 400_000_000:
                    await self._body(writer, bytes(65536))
            case "bomb":
                head = f"HTTP/1.1 202 X\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
                writer.write(head.encode())
                await self._body(writer, BOMB)
            case "redirect":
                writer.write(
                    f"HTTP/1.1 307 X\r\nLocation: {self.location}\r\nContent-Length: 0\r\n\r\n".encode()
                )
                await writer.drain()

    async def _body(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        writer.write(chunk)
        await writer.drain()
        self.served += len(chunk)
