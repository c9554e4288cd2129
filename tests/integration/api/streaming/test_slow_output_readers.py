"""Readers of a large output that do not read hold a bounded number of bytes, and hold up no other reader."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import nats
import pytest
from nats.aio.msg import Msg

from api.routes.tasks.output import UNSENT_BYTES
from api.streaming.live_response import Streams
from domain import subjects
from domain.runners.output_range import MAX_RANGE_BYTES, OutputRange, RangeRequest
from infra.nats.embedded_server import EmbeddedNats
from infra.runtime.http_server import bind, serve
from tests.integration.api.live_api import LiveApi
from tests.support.waiting import eventually

SIZE = 100_000_000
SLOW = 20
REQUESTS = 8
"""Of each slow reader, one behind the other: more than the kernel's buffers take."""
RECEIVE_BYTES = 4096
LIMIT = 900_000
"""What fits into a message of NATS."""


@asynccontextmanager
async def runner_with_zeros(server: EmbeddedNats, runner_id: str) -> AsyncIterator[None]:
    """A runner whose every output is SIZE zeros."""
    connection = await nats.connect(server.runner_url)

    async def answer(message: Msg) -> None:
        asked = RangeRequest.model_validate_json(message.data)
        found = OutputRange(
            bytes(min(asked.limit, LIMIT, SIZE - asked.offset)), asked.offset, SIZE, complete=True
        )
        await connection.publish(message.reply, found.data, headers=found.headers())

    await connection.subscribe(subjects.output(runner_id), cb=answer)
    await connection.flush()
    try:
        yield
    finally:
        await connection.close()


@pytest.fixture
async def port(live: LiveApi) -> AsyncIterator[int]:
    """The application on the product's own server."""
    listener, stop = bind("127.0.0.1", 0), asyncio.Event()
    port: int = listener.getsockname()[1]
    serving = asyncio.create_task(serve(live.app, listener, stop))
    yield port
    stop.set()
    await serving


def slow_reader(port: int, path: str) -> socket.socket:
    """Asks, and reads nothing."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    found.connect(("127.0.0.1", port))
    asking = f"GET {path}?limit={MAX_RANGE_BYTES} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found.sendall(asking.encode() * REQUESTS)
    return found


async def test_who_does_not_read_holds_few_bytes_and_the_others_go_on(
    live: LiveApi, port: int, nats_server: EmbeddedNats
) -> None:
    streams: Streams = live.app.state.streams
    task = await live.dispatched()
    assert (await live.report(task["id"], "running", attempt=1, runner_id="r1")).status_code == 200
    path = f"/tasks/{task['id']}/output"
    async with (
        runner_with_zeros(nats_server, "r1"),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        slow = [slow_reader(port, path) for _ in range(SLOW)]
        try:
            await eventually(lambda: streams.output_bytes >= SLOW * LIMIT, timeout=30)
            got = 0
            while got < SIZE:
                answer = await http.get(path, params={"offset": got, "limit": LIMIT})
                assert (answer.status_code, len(answer.content)) == (200, min(LIMIT, SIZE - got))
                got += len(answer.content)
                assert streams.output_bytes <= UNSENT_BYTES
            assert streams.output_bytes >= SLOW * LIMIT, "the slow ones have read meanwhile"
        finally:
            for one in slow:
                one.close()
        await eventually(
            lambda: (streams.open, streams.output_bytes, streams.asked_bytes) == (0, 0, 0), timeout=30
        )
