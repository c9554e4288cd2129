"""Stretches of the log as bytes: whole, in order, exactly what is stored, across lost connections."""

from __future__ import annotations

from nats.aio.client import Client

from adapters.event_store import raw_reader
from adapters.event_store.raw_reader import RawLog, StoredBytes
from adapters.nats.client import FastClient
from adapters.nats.jetstream_api import JetStreamApi
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import api, append
from tests.support.nats_proxy import NatsProxy
from tests.support.worlds import new_id


async def read(log: RawLog, first: int, last: int) -> list[StoredBytes]:
    return [one async for batch in log.stretch(first, last) for one in batch]


async def tapped(url: str) -> FastClient:
    async def ignore(_: Exception) -> None:
        """Lost connections are what one test is about."""

    client = FastClient()
    await client.connect(
        url, pending_size=0, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=ignore
    )
    return client


async def test_a_guest_reads_exactly_what_is_stored(nats_server: EmbeddedNats, js_connection: Client) -> None:
    ids = [new_id() for _ in range(30)]
    for number, task in enumerate(ids):
        await append(js_connection, task, "created", 0, b"%d" % number, **{"x-one": "1: 2", "a-two": ""})
    guest = await tapped(nats_server.url)
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
    nats_server: EmbeddedNats, js_connection: Client, monkeypatch
) -> None:
    monkeypatch.setattr(raw_reader, "PULL", 10)
    monkeypatch.setattr(raw_reader, "PULL_BYTES", 4000)
    for _ in range(60):
        await append(js_connection, new_id(), "created", 0, b"x" * 300)
    guest = await tapped(nats_server.url)
    try:
        found = await read(RawLog(guest), 1, 60)
        assert [one.seq for one in found] == list(range(1, 61))
    finally:
        await guest.close()


async def test_what_is_missing_is_left_out_and_does_not_stop_it(nats_server: EmbeddedNats) -> None:
    nc = await tapped(nats_server.control_url)
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


async def test_it_goes_on_after_the_connection_was_cut(proxy: NatsProxy, js_connection: Client) -> None:
    for _ in range(50):
        await append(js_connection, new_id(), "created", 0)
    nc = await tapped(proxy.url)
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
    nats_server: EmbeddedNats, js_connection: Client, monkeypatch
) -> None:
    """What the consumer's replica has not got yet is not missing; here a stream of its own lags behind."""
    for _ in range(8):
        await append(js_connection, new_id(), "created", 0, b"")
    nc = await tapped(nats_server.control_url)
    reading, opened = raw_reader._Reading, []

    def on_a_lagging_replica(connection: FastClient, api_: JetStreamApi, position: int, last: int):
        opened.append(position)
        behind = JetStreamApi(connection, "LAGS") if len(opened) == 1 else api_
        return reading(connection, behind, position, last)

    try:
        assert "error" not in await api(nc, "STREAM.CREATE.LAGS", {"name": "LAGS", "subjects": ["lags"]})
        for _ in range(5):
            await nc.jetstream().publish("lags", b"")
        monkeypatch.setattr(raw_reader, "_Reading", on_a_lagging_replica)
        assert [one.seq for one in await read(RawLog(nc), 1, 8)] == list(range(1, 9))
        assert opened == [0, 5]
    finally:
        await nc.close()
