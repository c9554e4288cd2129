"""A TCP proxy in front of a NATS server: loses, holds back or cuts at exactly the message a test names.

It splits both directions into protocol frames, so that dropping one reply leaves the rest intact. What the
client published is kept, and what the server says goes through a rule.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

PASS, DROP, CUT = "pass", "drop", "cut"
Rule = Callable[[bytes], str]


def is_ack(frame: bytes) -> bool:
    """Whether a frame is JetStream's acknowledgement of a publish."""
    return b'"stream":"TOWPATH"' in frame and b'"seq":' in frame and b'"type"' not in frame


def on_acks(action: str, times: int = 1) -> Rule:
    """Do `action` to the next `times` acknowledgements."""
    left = times

    def rule(frame: bytes) -> str:
        nonlocal left
        if left and is_ack(frame):
            left -= 1
            return action
        return PASS

    return rule


class NatsProxy:
    """Listens on loopback and forwards to `url`; `rule` judges every frame that the server sends."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.rule: Rule = lambda _: PASS
        self.published: list[bytes] = []

    @property
    def url(self) -> str:
        """The target's URL, through the proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"nats://{self._target.username}:{self._target.password}@127.0.0.1:{port}"

    async def __aenter__(self) -> NatsProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Close every connection; new ones are accepted."""
        for writer in self._writers:
            writer.transport.abort()

    def subjects(self) -> list[str]:
        """What the client published, in order."""
        return [frame.split(b" ", 2)[1].decode() for frame in self.published]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server[1]}
        for pump in (self._up(reader, server[1]), self._down(server[0], writer)):
            self._tasks.add(asyncio.create_task(pump))

    async def _up(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async for frame in _frames(client):
                if frame.startswith((b"PUB", b"HPUB")):
                    self.published.append(frame)
                server.write(frame)
        server.transport.abort()

    async def _down(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async for frame in _frames(server):
                verdict = self.rule(frame)
                if verdict == CUT:
                    self.cut()
                    return
                if verdict == PASS:
                    client.write(frame)
        client.transport.abort()


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Protocol lines, each with its payload where it has one."""
    while line := await reader.readline():
        if line.startswith((b"PUB ", b"HPUB ", b"MSG ", b"HMSG ")):
            line += await reader.readexactly(int(line.split()[-1]) + 2)
        yield line
