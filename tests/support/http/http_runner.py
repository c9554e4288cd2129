"""A push runner as small as it can be: a real HTTP server that notes what it is sent and answers as told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class HttpRunner:
    """`answers`: path's end (`submit`, `cancel`) to status and body, or a function of the request's body.

    No answer is given while `gate` is cleared.
    """

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def __aenter__(self) -> HttpRunner:
        self.gate.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.calls.append(Call(method, path, headers, json.loads(body or b"null")))
        await self.gate.wait()
        status, answer = self.answers.get(path.rpartition("/")[2], (202, {}))
        answer = answer(self.calls[-1].body) if callable(answer) else answer
        payload = json.dumps(answer).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % (status, len(payload))
        )
        writer.write(payload)
        await writer.drain()
        writer.close()
