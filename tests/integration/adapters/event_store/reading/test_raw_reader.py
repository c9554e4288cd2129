"""Stretches of the log as bytes: whole, in order, exactly what is stored, across lost connections.

On both clients, which read in different ways.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from nats.aio.client import Client

from adapters.event_store.reading import raw_reader
from adapters.event_store.reading.raw_reader import RawLog, StoredBytes
from infra.nats.embedded_server import EmbeddedNats
from tests.support.messages import new_id
from tests.support.nats import KINDS, api, append, connect
from tests.support.servers.nats_proxy import NatsProxy

Reader = Callable[[str], Awaitable[Client]]


async def read(log: RawLog, first: int, last: int) -> list[StoredBytes]:
    return [one async for batch in log.stretch(first, last) for one in batch]


@pytest.fixture(params=KINDS)
def reader(request: pytest.FixtureRequest) -> Reader:
    return lambda url: connect(url, request.param, error_cb=_ignore)


async def _ignore(_: Exception) -> None:
    """Lost connections are what one test is about."""


async def test_a_guest_reads_exactly_what_is_stored(
    nats_server: EmbeddedNats, js_connection: Client, reader: Reader
) -> None:
    ids = [new_id() for _ in range(30)]
    for number, task in enumerate(ids):
        await append(js_connection, task, "created", 0, b"%d" % number, **{"x-one": "1: 2", "a-two": ""})
    guest = await reader(nats_server.url)
    try:
        log = RawLog(guest)
        assert await log.last_seq() == 30
        found = await read(log, 5, 28)
        assert [one.seq for one in found] == list(range(5, 29))
        first = found[0]
        assert first.subject == f"towpath.task.{ids[4]}.created".encode()
        assert first.data == b"4"
        assert {b"x-one: 1: 2", b"a-two: "} <= set(first.header_lines())
        assert await read(log, 31, 30) == []
    finally:
        await guest.close()


async def test_more_than_one_request_brings_everything(
    nats_server: EmbeddedNats, js_connection: Client, monkeypatch, reader: Reader
) -> None:
    monkeypatch.setattr(raw_reader, "PULL", 10)
    monkeypatch.setattr(raw_reader, "PULL_BYTES", 4000)
    monkeypatch.setattr(raw_reader, "REQUESTS", 7)
    for _ in range(60):
        await append(js_connection, new_id(), "created", 0, b"x" * 300)
    guest = await reader(nats_server.url)
    try:
        found = await read(RawLog(guest), 1, 60)
        assert [one.seq for one in found] == list(range(1, 61))
    finally:
        await guest.close()


async def test_what_is_missing_is_left_out_and_does_not_stop_it(
    nats_server: EmbeddedNats, monkeypatch, reader: Reader
) -> None:
    monkeypatch.setattr(raw_reader, "REQUESTS", 1)
    nc = await reader(nats_server.control_url)
    try:
        assert "error" not in await api(nc, "STREAM.CREATE.TOWPATH", {"name": "TOWPATH", "subjects": ["t.*"]})
        for number in range(6):
            await nc.jetstream().publish(f"t.{number}", b"")
        for seq in (1, 4, 6):
            await api(nc, "STREAM.MSG.DELETE.TOWPATH", {"seq": seq})
        log = RawLog(nc)
        assert await log.last_seq() == 6
        assert [one.seq for one in await read(log, 1, 6)] == [2, 3, 5]
        assert await read(log, 6, 6) == []
    finally:
        await nc.close()


async def test_headers_come_byte_for_byte(nats_server: EmbeddedNats, reader: Reader) -> None:
    """Also where a client would parse them to the same: a second value, or spaces around one."""
    block = b"NATS/1.0\r\nx-one: 1\r\nx-one:   2 \r\nno-value:\r\n\r\n"
    nc = await reader(nats_server.control_url)
    try:
        assert "error" not in await api(nc, "STREAM.CREATE.TOWPATH", {"name": "TOWPATH", "subjects": ["t.*"]})
        await _store(nats_server.control_url, b"t.1", block)
        log = RawLog(nc)
        assert [(one.subject, one.block, one.data) for one in await read(log, 1, 1)] == [
            (b"t.1", block, b"hi")
        ]
    finally:
        await nc.close()


async def _store(url: str, subject: bytes, block: bytes) -> None:
    """Publish `hi` with this header block, which no client would write."""
    server = urlsplit(url)
    reading, writing = await asyncio.open_connection(server.hostname, server.port)
    login = json.dumps({"user": server.username, "pass": server.password, "headers": True, "verbose": False})
    message = b"HPUB %b %d %d\r\n%bhi\r\n" % (subject, len(block), len(block) + 2, block)
    writing.write(b"CONNECT %b\r\n%bPING\r\n" % (login.encode(), message))
    while await reading.readline() != b"PONG\r\n":
        pass
    writing.close()
    await writing.wait_closed()


async def test_it_goes_on_after_the_connection_was_cut(
    proxy: NatsProxy, js_connection: Client, reader: Reader
) -> None:
    for _ in range(50):
        await append(js_connection, new_id(), "created", 0)
    nc = await reader(proxy.url)
    try:
        found: list[int] = []
        async for batch in RawLog(nc).stretch(1, 50):
            if not found:
                proxy.cut()
            found += [one.seq for one in batch]
        assert found == list(range(1, 51))
    finally:
        await nc.close()


async def test_a_replica_that_lags_is_not_taken_for_the_end(
    nats_server: EmbeddedNats, js_connection: Client, monkeypatch, reader: Reader
) -> None:
    """What the consumer's replica has not got yet is not missing; here a stream of its own lags behind."""
    for _ in range(8):
        await append(js_connection, new_id(), "created", 0, b"")
    nc = await reader(nats_server.control_url)
    reading, opened = RawLog._reading, []

    def on_a_lagging_replica(log: RawLog, position: int, last: int):
        opened.append(position)
        return reading(RawLog(nc, "LAGS") if len(opened) == 1 else log, position, last)

    try:
        assert "error" not in await api(nc, "STREAM.CREATE.LAGS", {"name": "LAGS", "subjects": ["lags"]})
        for _ in range(5):
            await nc.jetstream().publish("lags", b"")
        monkeypatch.setattr(RawLog, "_reading", on_a_lagging_replica)
        assert [one.seq for one in await read(RawLog(nc), 1, 8)] == list(range(1, 9))
        assert opened == [0, 5]
    finally:
        await nc.close()
