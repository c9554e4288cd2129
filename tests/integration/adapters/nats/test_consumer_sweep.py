"""Consumers that others left on the log are removed; ours, and those that somebody reads, stay."""

from __future__ import annotations

from nats.aio.client import Client

from adapters.nats.consumer_sweep import MOST, STALE_SECONDS, ConsumerSweep, GuestConsumer, due_now
from adapters.nats.jetstream_api import JetStreamApi
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import api, connect
from tests.support.waiting import eventually


async def names(connection: Client) -> set[str]:
    return {one["name"] for one in await JetStreamApi(connection).consumers()}


async def made(connection: Client, name: str, **config: object) -> None:
    config = {"name": name, "ack_policy": "explicit", "filter_subject": "towpath.>", **config}
    body = {"stream_name": "TOWPATH", "config": config}
    answer = await api(connection, f"CONSUMER.CREATE.TOWPATH.{name}.towpath.>", body)
    assert "error" not in answer, answer


async def test_what_a_guest_left_is_swept(nats_server: EmbeddedNats, js_connection: Client) -> None:
    guest = await connect(nats_server.url)
    await made(js_connection, "dispatch", durable_name="dispatch")
    for number in range(300):
        await made(guest, f"left{number}", durable_name=f"left{number}")
    await made(guest, "read")
    inbox = guest.new_inbox()
    await guest.subscribe(inbox)
    await guest.publish("$JS.API.CONSUMER.MSG.NEXT.TOWPATH.read", b'{"expires": 60000000000}', reply=inbox)

    async def asked() -> bool:
        return bool((await api(js_connection, "CONSUMER.INFO.TOWPATH.read")).get("num_waiting"))

    await eventually(asked)
    swept = await ConsumerSweep(js_connection, ["dispatch"], stale_seconds=0.0).sweep()
    assert len(swept) == 300
    assert await names(js_connection) == {"dispatch", "read"}
    await guest.close()


async def test_what_is_young_stays(js_connection: Client) -> None:
    await made(js_connection, "young")
    assert await ConsumerSweep(js_connection, ["dispatch"]).sweep() == []
    assert await names(js_connection) == {"young"}


def test_beyond_the_bound_the_idle_ones_go_first_and_then_the_newest() -> None:
    def some(count: int, kind: str, *, asked: bool, idle: float = 0.0) -> list[GuestConsumer]:
        return [GuestConsumer(f"{kind}{at}", asked, f"2026-01-01T00:00:{at:03}", idle) for at in range(count)]

    assert due_now(some(MOST, "read", asked=True, idle=2 * STALE_SECONDS)) == []
    mixed = [*some(MOST, "read", asked=True), *some(2, "idle", asked=False)]
    assert due_now(mixed) == ["idle0", "idle1"]
    assert due_now(some(MOST + 1, "read", asked=True)) == [f"read{MOST}"]
    assert due_now(some(1, "stale", asked=False, idle=STALE_SECONDS + 1)) == ["stale0"]
