"""The contract of `Heartbeats`, in memory and on JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.js.errors import APIError

from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable, RawMessage
from adapters.runners import heartbeats as module
from adapters.runners.heartbeats import JetStreamHeartbeats
from domain import subjects
from domain.backoff import Backoff
from domain.errors import Busy, NotFound, Refused
from domain.ports.runners import Heartbeats
from domain.protocol import Heartbeat, Held
from domain.runners.liveness import LeaseTerms, in_conflict
from domain.subjects import Stream
from tests.support.memory_store import MemoryHeartbeats
from tests.support.messages import new_id, now
from tests.support.nats import api
from tests.support.waiting import eventually

SOON = LeaseTerms(timedelta(seconds=0.6), timedelta(seconds=0.4))


@pytest.fixture(params=["memory", "jetstream"])
def heartbeats(request: pytest.FixtureRequest, js_connection: Client) -> Heartbeats:
    return MemoryHeartbeats(now) if request.param == "memory" else JetStreamHeartbeats(js_connection)


def beat(runner_id: str, counter: int = 1, held: int = 0) -> Heartbeat:
    return Heartbeat(
        runner_id=runner_id,
        pools=["default", "linux"],
        host="höst",
        capacity=2,
        counter=counter,
        held=[Held(task_id=new_id(), attempt=1) for _ in range(held)],
    )


async def test_without_runners_there_are_none(heartbeats: Heartbeats) -> None:
    assert await heartbeats.all() == []


async def test_the_last_heartbeat_of_each_runner_stands_with_its_time(heartbeats: Heartbeats) -> None:
    before = now() - timedelta(seconds=1)
    last = {name: beat(name, counter=9, held=3) for name in ("b", "a", "c-3_X")}
    for name in last:
        await heartbeats.publish(beat(name))
    await asyncio.gather(*(heartbeats.publish(one) for one in last.values()))
    found = await heartbeats.all()
    assert [one.runner_id for one, _ in found] == ["a", "b", "c-3_X"]
    assert all(one == last[one.runner_id] for one, _ in found)
    assert all(before < at < now() + timedelta(seconds=1) and at.tzinfo == UTC for _, at in found)


async def test_a_later_heartbeat_moves_the_time_on(heartbeats: Heartbeats) -> None:
    await heartbeats.publish(beat("a", 1))
    first = (await heartbeats.all())[0][1]
    await heartbeats.publish(beat("a", 2))
    ((last, at),) = await heartbeats.all()
    assert last.counter == 2
    assert at > first


async def test_one_runners_last_heartbeat(heartbeats: Heartbeats) -> None:
    assert await heartbeats.last("a") is None
    await heartbeats.publish(beat("a", 1, held=2))
    await heartbeats.publish(beat("b", 1))
    last = await heartbeats.last("a")
    assert last == (await heartbeats.all())[0]


async def test_an_older_counter_never_replaces_a_newer_one(heartbeats: Heartbeats) -> None:
    await heartbeats.publish(beat("a", 7))
    with pytest.raises(Refused) as refusal:
        await heartbeats.publish(beat("a", 6))
    assert (refusal.value.code, refusal.value.extra) == ("counter-went-back", {"counter": 7, "host": "höst"})
    await heartbeats.publish(beat("a", 7))
    await asyncio.gather(
        *(heartbeats.publish(beat("b", number)) for number in range(4)), return_exceptions=True
    )
    assert [one.counter for one, _ in await heartbeats.all()] == [7, 3]


@pytest.fixture(params=["memory", "jetstream"])
def guarded(request: pytest.FixtureRequest, js_connection: Client) -> Heartbeats:
    """With an id that is free a second after its runner's last heartbeat."""
    if request.param == "memory":
        return MemoryHeartbeats(now, SOON)
    return JetStreamHeartbeats(js_connection, SOON)


def of(instance: str | None, one: Heartbeat) -> Heartbeat:
    return one.model_copy(update={"instance": instance})


async def test_an_id_is_refused_to_another_instance_until_its_runner_is_lost(guarded: Heartbeats) -> None:
    await guarded.publish(of("one", beat("a", 100)))
    with pytest.raises(Refused) as refusal:
        await guarded.publish(of("two", beat("a", 200)))
    assert refusal.value.code == "runner-id-taken"

    async def taken() -> bool:
        try:
            await guarded.publish(of("two", beat("a", 1)))  # a new state directory counts anew
        except Refused:
            return False
        return True

    await eventually(taken)
    with pytest.raises(Refused, match="has the id a"):
        await guarded.publish(of("one", beat("a", 101)))


async def test_the_last_heartbeats_of_both_are_kept_where_two_take_turns(heartbeats: Heartbeats) -> None:
    for number in range(1, 6):
        for name in ("one", "two"):
            await heartbeats.publish(of(name, beat("a", number)))
    for name in ("one", "two"):
        last = await heartbeats.last("a", instance=name)
        assert last is not None
        assert (last[0].instance, last[0].counter) == (name, 5)
    newest, unknown = await heartbeats.last("a"), await heartbeats.last("a", instance="three")
    assert newest == unknown == (await heartbeats.all())[0]
    assert in_conflict((await heartbeats.recent())["a"])


async def test_a_reading_may_be_as_old_as_asked_for(js_connection: Client) -> None:
    heartbeats = JetStreamHeartbeats(js_connection)
    await heartbeats.publish(beat("a", 1))
    first = await heartbeats.last("a")
    await heartbeats.publish(beat("a", 2))
    assert await heartbeats.last("a", within=60) == first
    newest = await heartbeats.last("a")
    assert newest is not None
    assert newest[0].counter == 2
    assert await heartbeats.last("a", within=60) == newest


async def test_many_runners_are_all_read(heartbeats: Heartbeats) -> None:
    await asyncio.gather(*(heartbeats.publish(beat(f"r{number}")) for number in range(300)))
    assert len(await heartbeats.all()) == 300


async def test_what_is_no_heartbeat_is_passed_over(js_connection: Client) -> None:
    """Any runner may publish there, also under another's name or with headers of the server."""
    heartbeats = JetStreamHeartbeats(js_connection)
    await heartbeats.publish(beat("good"))
    publish = js_connection.jetstream().publish
    await publish("towpath.runner.broken", b"{")
    await publish("towpath.runner.liar", beat("good", 99).model_dump_json().encode())
    forged = {"Nats-Sequence": "x", "Nats-Subject": "towpath.runner.good", "Nats-Time-Stamp": "never"}
    await publish("towpath.runner.forger", beat("forger").model_dump_json().encode(), headers=forged)
    found = {one.runner_id: (one.counter, at) for one, at in await heartbeats.all()}
    assert found.keys() == {"good", "forger"}
    assert found["good"][0] == 1
    assert isinstance(found["forger"][1], datetime)


class Lagging(JetStreamApi):
    """Reads from a replica that misses the last message."""

    def __init__(self, connection: Client, times: int) -> None:
        super().__init__(connection, "TOWPATH_RUNNER")
        self.times = times

    async def batch(self, subject: str, seq: int, count: int) -> list[RawMessage]:
        self.times -= 1
        found = await super().batch(subject, seq, count)
        return found[:-1] if self.times >= 0 else found


async def test_a_lagging_replica_never_makes_a_live_runner_look_lost(js_connection: Client) -> None:
    heartbeats = JetStreamHeartbeats(js_connection, lag=Backoff(first_seconds=0.001))
    await heartbeats.publish(beat("a"))
    await heartbeats.publish(beat("b"))
    heartbeats._api = Lagging(js_connection, 2)
    assert [one.runner_id for one, _ in await heartbeats.all()] == ["a", "b"]
    heartbeats._api = Lagging(js_connection, 1000)
    with pytest.raises(LogUnreachable):
        await heartbeats.all()


class Removing(JetStreamApi):
    """Reads while the last message is removed, once."""

    removed = False

    async def batch(self, subject: str, seq: int, count: int) -> list[RawMessage]:
        if not self.removed:
            self.removed = True
            last = await self.last("towpath.runner.>")
            assert last is not None
            await self.purge(last.subject, last.seq + 1)
        return await super().batch(subject, seq, count)


async def test_a_heartbeat_removed_during_a_reading_is_not_waited_for(js_connection: Client) -> None:
    heartbeats = JetStreamHeartbeats(js_connection, lag=Backoff(first_seconds=0.001))
    await heartbeats.publish(beat("a"))
    await heartbeats.publish(beat("b"))
    heartbeats._api = Removing(js_connection, "TOWPATH_RUNNER")
    assert [one.runner_id for one, _ in await heartbeats.all()] == ["a"]


async def test_a_goodbye_hides_a_runner_and_stays_the_last_word(heartbeats: Heartbeats) -> None:
    for counter in (1, 2, 3):
        await heartbeats.publish(beat("a", counter))
    await heartbeats.publish(beat("b"))
    await heartbeats.publish(beat("a", 4).model_copy(update={"leaving": True}))
    assert list(await heartbeats.recent()) == ["b"]
    with pytest.raises(Refused, match="counter"):
        await heartbeats.publish(beat("a", 3))
    last = await heartbeats.last("a")
    assert last is not None
    assert last[0].gone
    await heartbeats.publish(beat("a", 5))
    assert list(await heartbeats.recent()) == ["a", "b"]


async def test_a_goodbye_leaves_one_message_that_expires(js_connection: Client) -> None:
    heartbeats = JetStreamHeartbeats(js_connection)
    for counter in (1, 2, 3):
        await heartbeats.publish(beat("a", counter))
    await heartbeats.publish(beat("a", 4).model_copy(update={"leaving": True}))
    api = JetStreamApi(js_connection, Stream.RUNNER)
    (left,) = await api.batch(subjects.runner("a"), 1, 10)
    assert left.headers["Nats-TTL"] == "300s"


async def change(connection: Client, **settings: object) -> None:
    config = (await api(connection, f"STREAM.INFO.{Stream.RUNNER}"))["config"]
    answer = await api(connection, f"STREAM.UPDATE.{Stream.RUNNER}", {**config, **settings})
    assert "error" not in answer, answer


async def first_refusal(sendings: Iterable[Awaitable[object]]) -> Exception | None:
    for sending in sendings:
        try:
            await sending
        except (Busy, APIError) as refused:
            return refused
    return None


async def test_new_ids_drive_out_no_heartbeat_and_leave_room_for_known_runners(js_connection: Client) -> None:
    heartbeats = JetStreamHeartbeats(js_connection)
    await change(js_connection, max_bytes=64 << 10)
    await heartbeats.publish(beat("live", 1))
    flood = [beat(f"flood{number}", held=40) for number in range(100)]
    refused = await first_refusal(heartbeats.publish(one) for one in flood)
    assert isinstance(refused, Busy)
    assert refused.code == "heartbeats-full"
    for counter in range(2, 6):
        await heartbeats.publish(beat("live", counter))
    last = await heartbeats.last("live")
    assert last is not None
    assert last[0].counter == 5


async def test_whoever_publishes_to_a_full_stream_is_refused_and_drives_out_nothing(
    js_connection: Client,
) -> None:
    heartbeats = JetStreamHeartbeats(js_connection)
    await change(js_connection, max_bytes=64 << 10)
    await heartbeats.publish(beat("live"))
    flood = [beat(f"flood{number}", held=40) for number in range(100)]
    publish = js_connection.jetstream().publish
    refused = await first_refusal(
        publish(subjects.runner(one.runner_id), one.model_dump_json().encode()) for one in flood
    )
    assert isinstance(refused, APIError)
    assert refused.description == "maximum bytes exceeded"
    assert await heartbeats.last("live") is not None


async def test_a_stream_that_may_drop_heartbeats_proves_no_silence(js_connection: Client) -> None:
    heartbeats = JetStreamHeartbeats(js_connection)
    assert not await heartbeats.complete(now()), "it is empty: it may have been purged"
    await heartbeats.publish(beat("a"))
    assert await heartbeats.complete(now())
    assert not await heartbeats.complete(now() - timedelta(hours=1)), "the stream is younger"
    await change(js_connection, discard="old")
    assert not await heartbeats.complete(now())


async def test_more_than_a_page_is_read(js_connection: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_MESSAGES", 3)
    heartbeats = JetStreamHeartbeats(js_connection)
    for number in range(7):
        await heartbeats.publish(beat(f"r{number}"))
    assert len(await heartbeats.all()) == 7


async def nothing() -> None:
    """No objection."""


async def test_only_a_lost_runner_is_forgotten(guarded: Heartbeats) -> None:
    with pytest.raises(NotFound):
        await guarded.forget("a", SOON, nothing)
    await guarded.publish(beat("a", 7))
    with pytest.raises(Refused, match="may live"):
        await guarded.forget("a", SOON, nothing)

    async def forgotten() -> bool:
        try:
            await guarded.forget("a", SOON, nothing)
        except Refused:
            return False
        return True

    await eventually(forgotten)
    assert await guarded.last("a") is None, "nothing is stored that the runner did not send"


async def test_a_runner_that_comes_back_while_it_is_forgotten_stays(heartbeats: Heartbeats) -> None:
    await heartbeats.publish(beat("a", 7))

    async def back() -> None:
        await heartbeats.publish(beat("a", 8))

    await heartbeats.forget("a", LeaseTerms(timedelta(0), timedelta(0)), back)
    last = await heartbeats.last("a")
    assert last is not None
    assert last[0].counter == 8


@pytest.mark.parametrize(("instance", "counter"), [("two", 8), ("one", 7), ("one", 6)])
async def test_a_goodbye_is_its_runners_own_and_newer(
    heartbeats: Heartbeats, instance: str, counter: int
) -> None:
    await heartbeats.publish(of("one", beat("a", 7)))
    goodbye = of(instance, beat("a", counter)).model_copy(update={"leaving": True})
    with pytest.raises(Refused):
        await heartbeats.publish(goodbye)
    assert list(await heartbeats.recent()) == ["a"]
    own = of("one", beat("a", 8)).model_copy(update={"leaving": True})
    for _ in range(2):  # the first answer may be lost
        await heartbeats.publish(own)
    assert list(await heartbeats.recent()) == []


async def test_a_runner_on_nats_does_not_say_goodbye_over_http(js_connection: Client) -> None:
    heartbeats = JetStreamHeartbeats(js_connection)
    await js_connection.jetstream().publish("towpath.runner.a", beat("a", 7).model_dump_json().encode())
    with pytest.raises(Refused, match="over NATS"):
        await heartbeats.publish(beat("a", 8).model_copy(update={"leaving": True}))
    assert list(await heartbeats.recent()) == ["a"]
