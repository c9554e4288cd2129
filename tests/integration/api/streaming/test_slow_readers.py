"""A client of the live stream that does not read is dropped, not buffered for; the others notice nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.streaming.live_response import Streams
from infra.nats.embedded_server import EmbeddedNats
from infra.runtime.http_server import bind, serve
from tests.integration.api.live_api import LiveApi, live_api
from tests.support.waiting import eventually

MANY = 150
LARGE = ["echo", "x" * 100_000]


@pytest.fixture
async def live(nats_server: EmbeddedNats, tmp_path: Path) -> AsyncIterator[LiveApi]:
    async with live_api(nats_server, tmp_path / "data", max_streams=2) as made:
        yield made


@pytest.fixture
async def port(live: LiveApi) -> AsyncIterator[int]:
    """The application on the product's own server."""
    listener, stop = bind("127.0.0.1", 0), asyncio.Event()
    port: int = listener.getsockname()[1]
    serving = asyncio.create_task(serve(live.app, listener, stop))
    yield port
    stop.set()
    await serving


async def test_who_does_not_read_is_dropped_and_the_others_go_on(live: LiveApi, port: int) -> None:
    streams: Streams = live.app.state.streams
    streams.patience_seconds = 1.0
    deaf = socket.create_connection(("127.0.0.1", port))
    deaf.sendall(b"GET /events/stream?after_seq=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await eventually(lambda: streams.open == 1)

    seen: list[int] = []

    async def listen() -> None:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
            http.stream("GET", "/events/stream?after_seq=0") as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    seen.append(json.loads(line[5:])["seq"])
                if len(seen) >= MANY:
                    return

    listening = asyncio.create_task(listen())
    await eventually(lambda: streams.open == 2)
    full = await live.http.get("/events/stream")
    assert (full.status_code, full.json()["code"]) == (503, "too-many-streams")
    assert full.headers["retry-after"]

    for _ in range(MANY):
        assert (await live.http.post("/tasks", json={"command": LARGE})).status_code == 201
    await eventually(lambda: streams.dropped == 1, timeout=30)
    await asyncio.wait_for(listening, 60)
    assert seen == list(range(1, MANY + 1)), "the other reader has missed nothing"
    await eventually(lambda: streams.open == 0)

    got = await asyncio.to_thread(_rest, deaf)
    assert got < MANY * len(LARGE[1]) // 2, "what was not taken was not kept"
    assert "towpath_live_streams_dropped 1.0" in (await live.http.get("/metrics")).text


def _rest(reader: socket.socket) -> int:
    """The bytes that had come before the connection was cut."""
    reader.settimeout(10)
    got = 0
    try:
        while chunk := reader.recv(1 << 16):
            got += len(chunk)
    except ConnectionResetError:
        return got
    finally:
        reader.close()
    return got
