"""Following the log through restarts, lost consumers, slow readers and holes: each event once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

import adapters.event_store.reading.log_feed
import adapters.event_store.reading.log_reader
from adapters.event_store.appender import SingleAppender
from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.nats.jetstream_api import JetStreamApi
from adapters.nats.pull_consumer import PullTiming
from domain.log.record import Recorded
from domain.ports.log import LogGap
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.stream_definitions import stream_definitions
from tests.support.messages import creation
from tests.support.nats import api, connect
from tests.support.servers.nats_proxy import DROP, PASS, NatsProxy
from tests.support.waiting import eventually


class Reading:
    """Follows in the background and keeps the sequences it was given."""

    def __init__(self, events: AsyncIterator[Sequence[Recorded]]) -> None:
        self.seqs: list[int] = []
        self.room = asyncio.Event()
        self.room.set()
        self._events = events
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for batch in self._events:
            self.seqs += [event.seq for event in batch]
            await self.room.wait()

    async def has(self, last: int, timeout: float = 15.0) -> bool:
        await eventually(lambda: self.task.done() or (self.seqs and self.seqs[-1] >= last), timeout)
        if self.task.done():
            self.task.result()
        return self.seqs == list(range(self.seqs[0], last + 1))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def follow(connection: Client, after: int = 0, **timing: Any) -> Reading:
    return Reading(JetStreamLogReader(connection, JetStreamApi(connection), **timing).follow(after))


async def append(connection: Client, count: int) -> int:
    one = SingleAppender(connection, JetStreamApi(connection))
    return max(await asyncio.gather(*(one.append(creation()) for _ in range(count))))


async def consumers(connection: Client, stream: str = "TOWPATH") -> list[str]:
    names = (await api(connection, f"CONSUMER.NAMES.{stream}"))["consumers"]
    return names or []


async def test_an_idle_reader_survives_restarts_of_the_server(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    """Nothing may be given twice, though the consumer is lost each time and the log is idle meanwhile."""
    last = await append(js_connection, 20)
    reading = follow(js_connection, after=5)
    assert await reading.has(last)
    for _ in range(3):
        nats_server.stop()
        nats_server.start()
        await eventually(lambda: js_connection.is_connected)
    last = await append(js_connection, 3)
    assert await reading.has(last)
    assert reading.seqs == list(range(6, 24))
    await reading.stop()


async def test_a_busy_reader_survives_a_restart(nats_server: EmbeddedNats, js_connection: Client) -> None:
    reading = follow(js_connection)
    appending = asyncio.create_task(append(js_connection, 400))
    await eventually(lambda: len(reading.seqs) > 20)
    nats_server.stop()
    nats_server.start()
    assert await reading.has(await appending, 30)
    assert len(reading.seqs) == 400
    await reading.stop()


async def test_a_deleted_consumer_is_made_anew(js_connection: Client) -> None:
    last = await append(js_connection, 10)
    reading = follow(js_connection)
    assert await reading.has(last)
    for name in await consumers(js_connection):
        await js_connection.jetstream().delete_consumer("TOWPATH", name)
    assert await reading.has(await append(js_connection, 5))
    assert len(reading.seqs) == 15
    await reading.stop()


async def test_a_consumer_that_falls_silent_is_made_anew(
    proxy: NatsProxy, proxied: Client, js_connection: Client
) -> None:
    """Neither a disconnection nor a word from the server: only the heartbeats are missing."""
    last = await append(js_connection, 5)
    reading = follow(proxied, timing=PullTiming(request_seconds=60.0, silent_seconds=1.5))
    assert await reading.has(last)
    (lost,) = await consumers(js_connection)
    proxy.rule = lambda frame: (
        DROP if b"$JS.ACK.TOWPATH." + lost.encode() in frame or b"NATS/1.0 100" in frame else PASS
    )
    assert await reading.has(await append(js_connection, 5))
    assert len(reading.seqs) == 10
    await reading.stop()


async def test_a_consumer_that_never_delivers_is_made_anew(
    proxy: NatsProxy, proxied: Client, js_connection: Client
) -> None:
    """Lost before its first word: there is no position yet but the one that was asked for."""
    last = await append(js_connection, 5)

    def made() -> int:
        return sum(".CONSUMER.CREATE." in subject for subject in proxy.subjects())

    proxy.rule = lambda frame: DROP if b"$JS.ACK." in frame or b"NATS/1.0 100" in frame else PASS
    reading = follow(proxied, timing=PullTiming(request_seconds=60.0, silent_seconds=1.0))
    await eventually(lambda: reading.task.done() or made() >= 2)
    proxy.rule = lambda _: PASS
    assert await reading.has(last)
    assert reading.seqs == [1, 2, 3, 4, 5]
    await reading.stop()


async def test_a_lost_message_is_read_again(proxy: NatsProxy, proxied: Client, js_connection: Client) -> None:
    """A hole on the way is none in the log."""
    dropped = []

    def rule(frame: bytes) -> str:
        if b"$JS.ACK.TOWPATH." in frame and b".1.7.7." in frame and not dropped:
            dropped.append(frame)
            return DROP
        return PASS

    proxy.rule = rule
    last = await append(js_connection, 20)
    reading = follow(proxied)
    assert await reading.has(last)
    assert dropped
    assert len(reading.seqs) == 20
    await reading.stop()


async def test_a_slow_reader_gets_everything_and_holds_the_server_back(
    monkeypatch: pytest.MonkeyPatch, proxy: NatsProxy, proxied: Client, js_connection: Client
) -> None:
    monkeypatch.setattr(adapters.event_store.reading.log_feed, "BUFFERED", 50)
    one = SingleAppender(js_connection, JetStreamApi(js_connection))
    body = "x" * 40_000
    for _ in range(5):
        last = max(await asyncio.gather(*(one.append(creation(title=body)) for _ in range(100))))
    seen = 0

    def rule(frame: bytes) -> str:
        nonlocal seen
        seen += b"$JS.ACK.TOWPATH." in frame
        return PASS

    proxy.rule = rule
    reading = follow(proxied)
    reading.room.clear()
    await eventually(lambda: seen > 50)
    held = await settled(lambda: seen)
    assert held < 300, "more was asked for though there was no room"
    reading.room.set()
    assert await reading.has(last)
    assert len(reading.seqs) == 500
    assert seen == 500, "something was read twice"
    await reading.stop()


async def settled(value: Callable[[], int]) -> int:
    """`value` once it has not changed for half a second."""
    seen = [value()] * 50

    def unchanged() -> bool:
        seen.append(value())
        return len(set(seen[-50:])) == 1 and len(seen) > 100

    await eventually(unchanged)
    return value()


async def test_a_real_hole_stops_the_reader(nats_server: EmbeddedNats) -> None:
    nc = await connect(nats_server.control_url)
    config = {**stream_definitions()[0].config(), "deny_delete": False, "deny_purge": False}
    assert "error" not in await api(nc, "STREAM.CREATE.TOWPATH", config)
    await append(nc, 10)
    await nc.jetstream().delete_msg("TOWPATH", 4)
    reading = follow(nc)
    with pytest.raises(LogGap, match="no event at sequence 4"):
        await reading.has(10)
    assert reading.seqs == [1, 2, 3]
    behind = follow(nc, after=4)
    assert await behind.has(10)
    await behind.stop()
    await nc.close()


async def test_a_log_that_ends_before_the_position_stops_the_reader(js_connection: Client) -> None:
    """The log was replaced, or lost its end: going on would fold other facts on top of those."""
    await append(js_connection, 3)
    reading = follow(js_connection, after=9, retry_seconds=0.01)
    with pytest.raises(LogGap, match="ends at sequence 3"):
        await reading.has(10)


async def test_a_log_replaced_under_a_reader_by_a_longer_one_stops_it(nats_server: EmbeddedNats) -> None:
    """As a restore by the broker's own means does: the position stands, but what is behind it is new."""
    nc = await connect(nats_server.control_url)
    config = {**stream_definitions()[0].config(), "deny_delete": False, "deny_purge": False}
    assert "error" not in await api(nc, "STREAM.CREATE.TOWPATH", config)
    await append(nc, 5)
    reading = follow(nc)
    assert await reading.has(5)
    assert (await api(nc, "STREAM.DELETE.TOWPATH"))["success"]
    assert "error" not in await api(nc, "STREAM.CREATE.TOWPATH", config)
    await append(nc, 9)
    with pytest.raises(LogGap, match="another event stands at sequence 5"):
        await reading.has(9)
    assert reading.seqs == [1, 2, 3, 4, 5]
    await nc.close()


async def test_what_is_no_event_stops_the_reader_behind_what_was_good(js_connection: Client) -> None:
    last = await append(js_connection, 3)
    await js_connection.jetstream().publish("towpath.append.task.x.created", b"{}")
    reading = follow(js_connection)
    with pytest.raises(ValueError, match="sequence 4"):
        await reading.has(last + 1)
    assert reading.seqs == [1, 2, 3]


async def test_a_reader_that_stops_leaves_no_subscription(js_connection: Client) -> None:
    last = await append(js_connection, 3)
    before = len(js_connection._subs)
    for _ in range(5):
        reading = follow(js_connection)
        assert await reading.has(last)
        await reading.stop()
    assert len(js_connection._subs) <= before + 5  # one inbox for requests each
    assert await eventually(lambda: _none_left(js_connection), 20)


async def _none_left(connection: Client) -> bool:
    for name in await consumers(connection):
        try:
            if (await connection.jetstream().consumer_info("TOWPATH", name)).push_bound:
                return False
        except NotFoundError:
            continue
    return True


async def test_lost_messages_are_noticed_though_nothing_follows_them(
    proxy: NatsProxy, proxied: Client, js_connection: Client
) -> None:
    """The heartbeats go on, so the consumer is alive; they tell what it has sent."""
    last = await append(js_connection, 5)
    dropped: list[bytes] = []

    def rule(frame: bytes) -> str:
        if b"$JS.ACK.TOWPATH." in frame and len(dropped) < 5:
            dropped.append(frame)
            return DROP
        return PASS

    proxy.rule = rule
    reading = follow(proxied)
    assert await reading.has(last)
    assert len(dropped) == 5
    assert reading.seqs == [1, 2, 3, 4, 5]
    await reading.stop()
