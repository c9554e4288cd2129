"""What the fast client sends arrives as what nats-py's own sends."""

from __future__ import annotations

import asyncio
from typing import cast

import nats
import pytest
from nats.aio.transport import TcpTransport
from nats.js.api import Header

from adapters.nats.fast_client import LARGE_BYTES, FastClient
from adapters.nats.piece_transport import PieceTransport
from infra.nats.embedded_server import EmbeddedNats

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


async def test_a_bad_name_is_refused_as_by_nats_py(nats_server: EmbeddedNats) -> None:
    fast = FastClient()
    await fast.connect(nats_server.control_url)
    with pytest.raises(Exception, match="name with space"):
        await fast.publish("towpath.test.headers", b"", headers={"name with space": "x"})
    await fast.close()


@pytest.mark.parametrize("headers", [None, {"ce-id": "1"}])
async def test_a_large_payload_arrives_alike_and_its_room_is_free_after_a_flush(
    nats_server: EmbeddedNats, headers: dict[str, str] | None
) -> None:
    plain = await nats.connect(nats_server.control_url)
    fast = FastClient()
    await fast.connect(nats_server.control_url)
    heard = await plain.subscribe("towpath.test.large")
    await plain.flush()
    room = bytearray(1_000_000)
    for size in (LARGE_BYTES - 1, LARGE_BYTES, 900_000, 1_000_000):
        for byte in b"ab":
            room[:size] = bytes([byte]) * size
            await fast.publish("towpath.test.large", cast(bytes, memoryview(room)[:size]), headers=headers)
            await fast.publish("towpath.test.large", b"small")
            await fast.flush()
        room[:] = bytes(len(room))
        for byte in b"ab":
            large = await heard.next_msg(5)
            assert (large.headers, large.data) == (headers, bytes([byte]) * size)
            assert (await heard.next_msg(5)).data == b"small"
    assert fast.stats["out_msgs"] == 16
    await fast.close()
    await plain.close()


async def test_a_flush_says_so_where_nothing_is_read_any_more(nats_server: EmbeddedNats) -> None:
    fast = FastClient()
    await fast.connect(nats_server.control_url)
    await fast.flush()
    assert fast._reading_task is not None
    fast._reading_task.cancel()
    await asyncio.wait({fast._reading_task})
    with pytest.raises(nats.errors.StaleConnectionError):
        await fast.flush()
    await fast.close()


async def test_its_transport_is_its_own_and_survives_a_reconnect(nats_server: EmbeddedNats) -> None:
    fast = FastClient()
    back = asyncio.Event()

    async def reconnected() -> None:
        back.set()

    await fast.connect(nats_server.control_url, reconnected_cb=reconnected, reconnect_time_wait=0.05)
    plain = await nats.connect(nats_server.control_url)
    assert (type(fast._transport), type(plain._transport)) == (PieceTransport, TcpTransport)
    assert fast._transport is not None
    fast._transport.close()
    await asyncio.wait_for(back.wait(), 10)
    large = bytes(range(256)) * 2000
    heard = await fast.subscribe("towpath.test.large")
    await fast.flush()
    await plain.publish("towpath.test.large", large)
    assert (await heard.next_msg(5)).data == large
    assert type(fast._transport) is PieceTransport
    await fast.close()
    await plain.close()
