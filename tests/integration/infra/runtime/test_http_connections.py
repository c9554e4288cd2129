"""Half-open requests of strangers cost them their connection, and nobody else anything.

Real sockets against the product's own server, on a real NATS.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra.nats.embedded_server import EmbeddedNats
from infra.runtime.http_connections import MAX_HEAD_BYTES, ClientPatience, Connections, guarded_protocol
from infra.runtime.http_server import bind, serve
from runner.intake.server import IntakeServer
from tests.integration.api.live_api import LiveApi, live_api
from tests.support.waiting import eventually

LIMIT = 100
TOKEN = "callback-token-0123456789"
TASK = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
BEAT = {"runner_id": "r1", "pools": ["default"], "host": "here", "capacity": 1, "counter": 0, "held": []}


@dataclass
class Listener:
    """A live API behind the guarded server."""

    live: LiveApi
    port: int
    connections: Connections

    @property
    def http(self) -> httpx.AsyncClient:
        """A client of this listener; each request on a connection of its own."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30, limits=limits)


@pytest.fixture
async def start(
    nats_server: EmbeddedNats, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Listener]]]:
    """Starts a listener with a few connections and the patience given."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(patience: ClientPatience, **settings: object) -> Listener:
            live = await stack.enter_async_context(live_api(nats_server, tmp_path / "data", **settings))
            socket, stop = bind("127.0.0.1", 0), asyncio.Event()
            port: int = socket.getsockname()[1]
            connections = Connections(LIMIT, patience)
            serving = asyncio.create_task(serve(live.app, socket, stop, connections=connections))

            async def end() -> None:
                stop.set()
                await serving

            stack.push_async_callback(end)
            return Listener(live, port, connections)

        yield start


class Strangers:
    """Connections that are opened and never finished."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.readers: list[asyncio.StreamReader] = []

    async def open(self, count: int, sent: bytes) -> None:
        """`count` more, each of which has sent `sent`."""
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.suppress(ConnectionError):
                writer.write(sent)
                await writer.drain()
            self._writers.append(writer)
            self.readers.append(reader)

    async def trickle(self, piece: bytes) -> None:
        """A little more on each, for as long as this runs."""
        while True:
            for writer in self._writers:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    writer.write(piece)
            await asyncio.sleep(0.05)

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def strangers(port: int) -> AsyncIterator[Strangers]:
    made = Strangers(port)
    try:
        yield made
    finally:
        made.close()


def post(path: str, token: str | None = None, length: int = 500_000) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Content-Length: {length}"] + ([f"X-Runner-Token: {token}"] if token else [])
    return "\r\n".join([*lines, "", '{"'] if length else [*lines, "", ""]).encode()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /livez HTTP/1.1\r\nHost: local",
        post(f"/runner/tasks/{TASK}/status"),
        post("/runner/heartbeat"),
        post("/tasks"),
        post("/tasks") + b"x" * 60_000,
    ],
    ids=["nothing", "head", "report", "heartbeat", "create", "60 KB"],
)
async def test_a_crowd_of_half_open_requests_does_not_hold_up_heartbeats_reports_and_others(
    start: Callable[..., Awaitable[Listener]], sent: bytes
) -> None:
    listener = await start(ClientPatience(head=600, next=600, body=600), api_runner_callback_token=TOKEN)
    headers = {"X-Runner-Token": TOKEN}
    task = await listener.live.dispatched(pool="mine")
    async with strangers(listener.port) as crowd, listener.http as http:
        await crowd.open(3 * LIMIT, sent)
        for counter in range(3):
            beat = {**BEAT, "counter": counter}
            answer = await http.post("/runner/heartbeat", json=beat, headers=headers)
            assert answer.status_code == 200, answer.text
            await crowd.open(20, sent)
        path = f"/runner/tasks/{task['id']}/status"
        for status in ("queued", "running", "succeeded"):
            answer = await http.post(path, json={"status": status, "runner_id": "r1"}, headers=headers)
            assert answer.status_code == 200, answer.text
        assert (await http.get("/livez")).status_code == 200
        assert (await http.post("/tasks", json={"command": ["true"]})).status_code == 201
        assert listener.connections.count <= LIMIT


async def test_without_any_token_half_open_posts_take_no_place_either(
    start: Callable[..., Awaitable[Listener]],
) -> None:
    listener = await start(ClientPatience(), max_requests=8)
    async with strangers(listener.port) as crowd, listener.http as http:
        await crowd.open(132, post(f"/runner/tasks/{TASK}/status"))
        assert (await http.post("/runner/heartbeat", json=BEAT)).status_code == 200
        assert (await http.post("/tasks", json={"command": ["true"]})).status_code == 201


async def test_a_stranger_is_told_so_before_it_has_sent_a_body(
    start: Callable[..., Awaitable[Listener]],
) -> None:
    listener = await start(
        ClientPatience(), api_runner_callback_token=TOKEN, api_tokens="admin:0123456789abcdef0123456789abcdef"
    )
    for path in (f"/runner/tasks/{TASK}/status", "/runner/heartbeat", "/tasks", "/tasks/x/cancel"):
        async with strangers(listener.port) as one:
            await one.open(1, post(path))
            async with asyncio.timeout(10):
                assert (await one.readers[0].readline()).startswith(b"HTTP/1.1 401 "), path


@pytest.mark.parametrize(
    ("sent", "piece"),
    [
        (b"GET /livez HTTP/1.1\r\n", b"X-A: b\r\n"),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: ", b"b"),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n"),
        (post("/tasks"), b" "),
        (post(f"/runner/tasks/{TASK}/status", token="wrong"), b" "),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n", b" "),
    ],
    ids=["lines", "characters", "empty lines", "body", "body after 401", "body after an answer"],
)
async def test_a_trickle_ends_after_its_time(
    start: Callable[..., Awaitable[Listener]], sent: bytes, piece: bytes
) -> None:
    listener = await start(ClientPatience(head=1, next=1, body=1), api_runner_callback_token=TOKEN)
    async with strangers(listener.port) as crowd:
        await crowd.open(5, sent)
        trickle = asyncio.create_task(crowd.trickle(piece))
        await eventually(lambda: listener.connections.count == 0, 30)
        trickle.cancel()


async def test_a_head_has_a_size(start: Callable[..., Awaitable[Listener]]) -> None:
    listener = await start(ClientPatience())
    async with strangers(listener.port) as crowd:
        await crowd.open(1, b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with contextlib.suppress(ConnectionError):
            await crowd.open(1, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * (2 * MAX_HEAD_BYTES))
        assert (await crowd.readers[1].readline()).startswith(b"HTTP/1.1 431 ")


async def test_a_target_in_absolute_form_names_the_host(start: Callable[..., Awaitable[Listener]]) -> None:
    listener = await start(ClientPatience())
    for target, host, status in (
        ("http://evil.example/livez", "localhost", 403),
        ("http://evil.example:8000/livez", "localhost", 403),
        ("http://localhost/livez", "evil.example", 200),
        ("/livez", "evil.example", 403),
        ("/livez", "localhost", 200),
    ):
        async with strangers(listener.port) as one:
            await one.open(1, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await one.readers[0].readline()).startswith(f"HTTP/1.1 {status} ".encode()), target


async def test_requests_sent_ahead_are_answered_in_order_and_idle_ones_end(
    start: Callable[..., Awaitable[Listener]],
) -> None:
    listener = await start(ClientPatience(head=1, next=1, body=1))
    async with strangers(listener.port) as one:
        await one.open(1, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3 + b"GET /li")
        async with asyncio.timeout(30):
            said = await one.readers[0].read()
        assert said.count(b"HTTP/1.1 200 ") == 3


async def test_a_runners_intake_is_bounded_in_the_same_way() -> None:
    async def app(scope: object, receive: object, send: Callable[[object], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    connections = Connections(10, ClientPatience(head=600, next=600, body=600))
    server = IntakeServer(app, "127.0.0.1", 0, guarded_protocol(connections))  # type: ignore[arg-type]
    await server.start()
    try:
        async with strangers(int(server.url.rpartition(":")[2])) as crowd, httpx.AsyncClient() as http:
            await crowd.open(50, b"POST /tasks/submit HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
            assert (await http.get(f"{server.url}/health")).status_code == 200
            assert connections.count <= 10
    finally:
        await server.stop()


CHUNKED = (
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
REFUSED_PATH, OPEN_PATH = b"/runner/tasks/%s/status" % TASK.encode(), b"/tasks"


@pytest.mark.parametrize("path", [REFUSED_PATH, OPEN_PATH])
@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"0\r\n", b"x: 1\r\n" * 10_000),
        (b"0\r\nx: ", b"y" * 60_000),
        (b"0\r\n", b"y" * 60_000),
        (b"1;", b"y" * 60_000),
    ],
    ids=["many trailers", "one endless trailer", "an endless trailer's name", "a chunk's extension"],
)
async def test_what_frames_a_body_is_bounded_as_a_head_is(
    start: Callable[..., Awaitable[Listener]], path: bytes, begin: bytes, piece: bytes
) -> None:
    listener = await start(ClientPatience(head=60, next=60, body=60), api_runner_callback_token=TOKEN)
    assert await _taken(listener.port, CHUNKED % path + begin, piece) < 250 * len(piece)


async def test_a_body_behind_its_refusal_is_not_read_for_ever(
    start: Callable[..., Awaitable[Listener]],
) -> None:
    listener = await start(ClientPatience(head=60, next=60, body=60), api_runner_callback_token=TOKEN)
    length = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000000\r\n\r\n" % REFUSED_PATH
    assert await _taken(listener.port, length, b"y" * 60_000) < 250 * 60_000


async def test_a_chunked_body_in_small_pieces_and_a_short_trailer_is_read(
    start: Callable[..., Awaitable[Listener]],
) -> None:
    listener = await start(ClientPatience())
    body = b'{"title": "small pieces", "command": ["true"]}' + b" " * 20_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\nx-sum: 1\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        writer.write(CHUNKED % OPEN_PATH + chunks)
        async with asyncio.timeout(20):
            assert (await reader.readline()).split()[1] == b"201"
    finally:
        writer.transport.abort()


async def _taken(port: int, begin: bytes, piece: bytes) -> int:
    """How many bytes of pieces go out before the connection is cut, of 1,000; the system buffers some MB."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.set_write_buffer_limits(0)
    sent = 0
    try:
        writer.write(begin)
        async with asyncio.timeout(30):
            for _ in range(1000):
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return sent
