"""An HTTP proxy that loses and repeats: what a network and a retrying middleman do to requests.

`drop`: the request is carried out, its answer lost. `replay`: the request is sent twice, the first answer is
given. `twice`: the answer comes twice, then the connection ends. A replayed operation is written into the
history, since its second run may be recorded where the first was refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

from tests.chaos.history import History

OP_HEADER = b"x-chaos-op"
MISCHIEF = ("drop", "replay", "twice")
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 12.0


class HttpProxy:
    """Listens on `host:port`, forwards to `target`. `mischief` and `chance` say what it does to requests."""

    def __init__(self, name: str, listen: tuple[str, int], target: tuple[str, int], history: History) -> None:
        self.name, self.listen, self._target = name, listen, target
        self.mischief: str | None = None
        self.chance = 0.0
        self.done: Counter[str] = Counter()
        self._history = history
        self._random = random.Random(0)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{self.listen[0]}:{self.listen[1]}"

    async def start(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._server = await asyncio.start_server(self._accept, *self.listen)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                while await self._one(reader, writer):
                    pass
        except asyncio.CancelledError:
            return
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if self.mischief else writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether the connection may be used for another."""
        request, headers = await _message(reader)
        what = self.mischief if self._random.random() < self.chance else None
        answer = await self._forward(request)
        if what == "replay":
            op = headers.get(OP_HEADER)
            if op:
                self._history.note("replayed", op=int(op))
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                await self._forward(request)
        if what is not None:
            self.done[what] += 1
        if what == "drop":
            return False
        writer.write(answer * 2 if what == "twice" else answer)
        await writer.drain()
        return what != "twice"

    async def _forward(self, request: bytes) -> bytes:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(*self._target)
        try:
            writer.write(request)
            async with asyncio.timeout(ANSWER_SECONDS):
                answer, _ = await _message(reader)
            return answer
        finally:
            writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, dict[bytes, bytes]]:
    """One request or answer, raw, and its headers in lower case. Bodies have a length, as Towpath's do."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        raise ValueError("a chunked body")
    return head + await reader.readexactly(int(headers.get(b"content-length", 0))), headers
