"""A receiver of webhooks on loopback: it keeps what it gets, and answers as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

Answer = bytes
OK: Answer = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"


def answer(status: int, *lines: str) -> Answer:
    """An answer without a body."""
    head = "\r\n".join([f"HTTP/1.1 {status} x", "content-length: 0", *lines])
    return f"{head}\r\n\r\n".encode()


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def notice(self) -> dict[str, Any]:
        """What it tells."""
        notice: dict[str, Any] = self.event["data"]["notice"]
        return notice


class Receiver:
    """Answers each request by `answers`; None: never, and the connection stays open; b"": it is closed."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: Callable[[Received], Answer | None] = lambda _: OK
        self.port = 0

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self.port}/hook"

    def names(self) -> list[str]:
        """The names of what was told, in the order of arrival."""
        return [one.notice["name"] for one in self.received]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                one = Received(first.split(" ")[1], headers, body)
                self.received.append(one)
                given = self.answers(one)
                if given is None:
                    await reader.read()  # until the sender is gone
                    return
                writer.write(given)
                await writer.drain()
                if not given:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver, until the end of the block."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
