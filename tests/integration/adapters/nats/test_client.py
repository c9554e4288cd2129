"""What the client with faster headers sends arrives as what nats-py's own client sends."""

from __future__ import annotations

import asyncio

import nats
import pytest
import uvloop
from nats.aio.client import Client
from nats.js.api import Header

from adapters.nats.client import FastClient
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import connect

HEADERS = [
    {"ce-id": "1", "Nats-Msg-Id": "a b"},
    {"ce-actor": "käse", "x": "", "y": "  padded  "},
    {"ce-id": "two\r\nlines: here"},
    {Header.EXPECTED_STREAM: "TOWPATH"},  # nats-py's own names are members of an enum
    {"with!bang": "needs care", "ce-id": "1"},
]


@pytest.mark.parametrize("headers", HEADERS)
async def test_headers_arrive_alike(nats_server: EmbeddedNats, headers: dict[str, str]) -> None:
    plain = await nats.connect(nats_server.control_url)
    fast = FastClient()
    await fast.connect(nats_server.control_url)
    heard = await fast.subscribe("towpath.test.headers")
    await fast.flush()
    for client in (plain, fast, fast):
        await client.publish("towpath.test.headers", b"body", headers=dict(headers))
        await client.flush()
    first, *others = [await heard.next_msg(5) for _ in range(3)]
    assert first.headers
    assert [(one.headers, one.data) for one in others] == [(first.headers, first.data)] * 2
    await fast.close()
    await plain.close()


async def test_a_flush_comes_behind_what_was_asked_before() -> None:
    """Also behind what only waits to be written."""
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 1048576, "headers": true}\r\n')
        async for line in reader:
            said.append(line.split()[0])
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    fast = FastClient()
    await fast.connect(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await fast.subscribe("towpath.task.>")
    await fast.flush()
    assert said == [b"CONNECT", b"PING", b"SUB", b"PING"]
    await fast.close()
    server.close()


async def test_a_bad_name_is_refused_as_by_nats_py(nats_server: EmbeddedNats) -> None:
    fast = FastClient()
    await fast.connect(nats_server.control_url)
    with pytest.raises(Exception, match="name with space"):
        await fast.publish("towpath.test.headers", b"", headers={"name with space": "x"})
    await fast.close()


async def test_a_client_may_be_closed_at_any_moment_of_its_search_for_a_server(
    nats_server: EmbeddedNats,
) -> None:
    clients = [
        await connect(nats_server.control_url, reconnect_time_wait=0.001, error_cb=_ignore)
        for _ in range(100)
    ]
    closed = [asyncio.create_task(_close_after(client, turns)) for turns, client in enumerate(clients)]
    nats_server.stop()
    await asyncio.wait(closed)
    left = [task for task in asyncio.all_tasks() if "_attempt_reconnect" in repr(task)]
    for task in left:  # or the loop would never end
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
    assert left == []
    assert [task for task in closed if task.cancelled() or task.exception()] == []


async def _close_after(client: Client, turns: int) -> None:
    """Close `client` so many turns of the event loop after it saw that its server is gone."""
    while client.is_connected:
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    await client.close()


async def _ignore(_: Exception) -> None:
    """The server is gone on purpose."""


async def test_a_refused_client_hears_why_and_nothing_else(nats_server: EmbeddedNats) -> None:
    """nats-py's own transport heard a reset besides, in one of three attempts."""
    said: list[Exception] = []

    async def hear(error: Exception) -> None:
        said.append(error)

    for _ in range(50):
        fast = FastClient()
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await fast.connect(
                nats_server.url, user="towpath", password="wrong", allow_reconnect=False, error_cb=hear
            )
        await fast.close()
    assert {str(error) for error in said} == {"nats: 'Authorization Violation'"}
    assert len(said) == 50


@pytest.mark.parametrize("kind", [Client, FastClient])
async def test_the_next_message_comes_alike_whether_it_is_there_or_not(
    nats_server: EmbeddedNats, kind: type[Client]
) -> None:
    client, other = kind(), await nats.connect(nats_server.control_url)
    await client.connect(nats_server.control_url)
    heard = await client.subscribe("towpath.test.next")
    for _ in range(2):  # nats-py's first PING may be written before what waits to be written
        await client.flush()
    await other.publish("towpath.test.next", b"there")
    await other.publish("towpath.test.next", b"there too")
    await other.flush()
    await client.flush()
    assert [(await heard.next_msg(5)).data for _ in range(2)] == [b"there", b"there too"]
    with pytest.raises(nats.errors.TimeoutError):
        await heard.next_msg(0.01)
    coming = asyncio.create_task(heard.next_msg(5))
    await other.publish("towpath.test.next", b"later")
    assert (await coming).data == b"later"
    assert (heard.pending_bytes, heard.pending_msgs) == (0, 0)
    await other.publish("towpath.test.next", b"too late")
    await other.flush()
    await client.close()
    with pytest.raises(nats.errors.ConnectionClosedError):
        await heard.next_msg(5)
    await other.close()


def test_what_is_written_on_a_lost_connection_is_lost_with_it(nats_server: EmbeddedNats) -> None:
    """On uvloop, as in production: there a closed connection refuses writes by a RuntimeError."""

    async def lose_it() -> None:
        for turns in range(4):
            client = FastClient()
            await client.connect(nats_server.control_url)
            client._transport._io_writer.transport.abort()
            for _ in range(turns):
                await asyncio.sleep(0)
                await client.publish("towpath.test.lost", b"gone")
            await client.publish("towpath.test.lost", b"gone")
            await client.close()
            assert client.is_closed

    uvloop.run(lose_it())
