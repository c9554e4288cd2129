"""A lean HTTP/1.1 client: prepared requests over kept connections, one in flight on each.

A client with features would cost more than what it measures. It understands what uvicorn sends here:
a head, `content-length`, a body.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

CONNECTIONS = 64


@dataclass(slots=True)
class Answers:
    """What came back: how often each status, how long all and each took (seconds)."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    taken: list[float] = field(default_factory=list)

    def check(self, *allowed: int) -> None:
        """Raise unless every status is one of `allowed`."""
        if set(self.statuses) - set(allowed):
            raise RuntimeError(f"wanted only {allowed}, got {dict(self.statuses)}")


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of one request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def report_requests(task_ids: Iterable[str], body: bytes) -> list[bytes]:
    """One callback about each task."""
    return [request("POST", f"/runner/tasks/{task_id}/status", body) for task_id in task_ids]


async def send(
    port: int, requests: Sequence[bytes], connections: int = CONNECTIONS, timeout: float = 120.0
) -> Answers:
    """Send all requests, each once, over `connections`; the clock starts when all are connected."""
    loop = asyncio.get_running_loop()
    answers, waiting = Answers(), iter(requests)
    opened = [
        (await loop.create_connection(lambda: _Connection(waiting, answers), "127.0.0.1", port))[1]
        for _ in range(min(connections, len(requests)))
    ]
    started = time.perf_counter()
    for connection in opened:
        connection.next()
    try:
        async with asyncio.timeout(timeout):
            await asyncio.gather(*(connection.done for connection in opened))
    finally:
        for connection in opened:
            connection.close()
    answers.seconds = time.perf_counter() - started
    return answers


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], answers: Answers) -> None:
        self._requests, self._answers = requests, answers
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionResetError("the server closed a connection"))

    def next(self) -> None:
        """Send the next request; without one, be done."""
        assert self._transport is not None
        following = next(self._requests, None)
        if following is None:
            self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(following)

    def close(self) -> None:
        """Close the connection."""
        self.done.cancel()
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = buffer.find(b"content-length: ") + 16
        if len(buffer) < head + 4 + int(buffer[at : buffer.index(b"\r", at)]):
            return
        self._answers.taken.append(time.perf_counter() - self._sent)
        self._answers.statuses[int(buffer[9:12])] += 1
        self._buffer = b""
        self.next()
