"""What both clients promise: nats-py's own, and the fast one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import nats
import pytest
import uvloop
from nats.aio.client import Client

from adapters.nats.client import Kind, listen
from adapters.nats.message import Arrived
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import KINDS, connect
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("kind", KINDS)


async def test_messages_reach_a_listener_in_order_until_it_ends(
    nats_server: EmbeddedNats, kind: Kind
) -> None:
    client = await connect(nats_server.control_url, kind)
    heard: list[tuple[str, str, bytes, dict[str, str]]] = []
    whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(message: Arrived) -> None:
        heard.append((message.subject, message.reply, message.data, dict(message.headers)))
        if len(heard) == 101:
            whole.set_result(None)

    listening = await listen(client, "towpath.test.listen.*", take)
    headers = {"x-one": "1", "ce-actor": "käse"}
    await client.publish("towpath.test.listen.a", b"", reply="back", headers=headers)
    for number in range(100):
        await client.publish("towpath.test.listen.b", b"%d" % number)
    async with asyncio.timeout(10):
        await whole
    await listening.unsubscribe()
    await client.publish("towpath.test.listen.a", b"too late")
    await client.flush()
    await client.close()
    assert heard == [
        ("towpath.test.listen.a", "back", b"", headers),
        *[("towpath.test.listen.b", "", b"%d" % number, {}) for number in range(100)],
    ]


async def test_a_flush_comes_behind_what_was_asked_before(kind: Kind) -> None:
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
    client = await connect(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", kind)
    await client.subscribe("towpath.task.>")
    await client.flush()
    assert said[-1] == b"PING"
    assert said.count(b"SUB") == 1
    await client.close()
    server.close()


@pytest.mark.parametrize("canceled", [False, True])
async def test_a_flush_that_was_given_up_leaves_the_connection_whole(
    nats_server: EmbeddedNats, kind: Kind, canceled: bool
) -> None:
    client, other = await connect(nats_server.control_url, kind), await nats.connect(nats_server.control_url)
    heard = await client.subscribe("towpath.test.stalled")
    await client.flush()
    assert nats_server.pid is not None
    os.kill(nats_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError if canceled else nats.errors.FlushTimeoutError):
            async with asyncio.timeout(0.3 if canceled else 30):
                await client.flush(30 if canceled else 1)
    finally:
        os.kill(nats_server.pid, signal.SIGCONT)
    await client.flush()
    await other.publish("towpath.test.stalled", b"heard")
    assert (await heard.next_msg(10)).data == b"heard"
    await client.close()
    await other.close()


async def test_the_next_message_comes_alike_whether_it_is_there_or_not(
    nats_server: EmbeddedNats, kind: Kind
) -> None:
    client, other = await connect(nats_server.control_url, kind), await nats.connect(nats_server.control_url)
    heard = await client.subscribe("towpath.test.next")
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


def test_what_is_written_on_a_lost_connection_is_lost_with_it(nats_server: EmbeddedNats, kind: Kind) -> None:
    """On uvloop, as in production: there a closed connection refuses writes by a RuntimeError."""

    async def lose_it() -> None:
        for turns in range(4):
            client = await connect(nats_server.control_url, kind)
            client._transport._io_writer.transport.abort()
            for _ in range(turns):
                await asyncio.sleep(0)
                with contextlib.suppress(nats.errors.Error):
                    await client.publish("towpath.test.lost", b"gone")
            with contextlib.suppress(nats.errors.Error):
                await client.publish("towpath.test.lost", b"gone")
            await client.close()
            assert client.is_closed

    uvloop.run(lose_it())


async def test_a_client_may_be_closed_at_any_moment_of_its_search_for_a_server(
    nats_server: EmbeddedNats, kind: Kind
) -> None:
    clients = [
        await connect(nats_server.control_url, kind, reconnect_time_wait=0.001, error_cb=_ignore)
        for _ in range(100)
    ]
    closed = [asyncio.create_task(_close_after(client, turns)) for turns, client in enumerate(clients)]
    nats_server.stop()
    await asyncio.wait(closed)
    await eventually(lambda: _searches() == [])
    assert [task for task in closed if task.cancelled() or task.exception()] == []


def _searches() -> list[asyncio.Task[None]]:
    return [task for task in asyncio.all_tasks() if "_attempt_reconnect" in repr(task)]


async def _close_after(client: Client, turns: int) -> None:
    """Close `client` so many turns of the event loop after it saw that its server is gone."""
    while client.is_connected:
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    await client.close()


async def _ignore(_: Exception) -> None:
    """The server is gone on purpose."""
