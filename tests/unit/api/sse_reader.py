"""Reads server-sent events straight from the ASGI application, which httpx would only show at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI


class SseReader:
    """One open stream. `status` is known after the first `next`."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.status = 0
        self.ended = False
        self._rest = b""

    async def frame(self) -> dict[str, str] | None:
        """The next frame's fields (`comment` for a comment); None at the end."""
        async with asyncio.timeout(5):
            while b"\n\n" not in self._rest:
                message = await self.sent.get()
                if message["type"] == "http.response.start":
                    self.status = message["status"]
                    continue
                self._rest += message.get("body", b"")
                if not message.get("more_body"):
                    self.ended = True
                    return None
        text, _, self._rest = self._rest.partition(b"\n\n")
        pairs = (line.partition(":") for line in text.decode().split("\n"))
        return {name or "comment": value.strip() for name, _, value in pairs}

    async def event(self) -> dict[str, Any]:
        """The next event's JSON; its `id:` and `event:` must agree with it."""
        while (fields := await self.frame()) is not None:
            if "data" in fields:
                event: dict[str, Any] = json.loads(fields["data"])
                assert (fields["id"], fields["event"]) == (str(event["seq"]), event["event"])
                return event
        raise AssertionError("the stream has ended")

    async def events(self, count: int) -> list[str]:
        """The names of the next `count` events."""
        return [(await self.event())["event"] for _ in range(count)]


@asynccontextmanager
async def sse(app: FastAPI, url: str, headers: dict[str, str] | None = None) -> AsyncIterator[SseReader]:
    """Open a stream; leaving the block disconnects and checks that the application lets go."""
    reader, parts = SseReader(), urlsplit(url)
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": parts.path, "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(), "root_path": "",
        "server": ("towpath", 80), "client": ("test", 1),
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {"Host": "localhost", **(headers or {})}.items()
        ],
    }  # fmt: skip
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await reader.gone.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        await reader.sent.put(dict(message))

    running = asyncio.create_task(app(scope, receive, send))
    try:
        yield reader
    finally:
        reader.gone.set()
        async with asyncio.timeout(5):
            await running
