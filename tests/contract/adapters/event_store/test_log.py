"""The log's contract: every store and reader, in memory and on a real nats-server, behaves the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from nats.aio.client import Client

from adapters.event_store.codec import chain_link, encode
from domain import subjects
from domain.locks.claims import FIRST_CHAIN, LockFact
from domain.log.events import GrantedData
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.log import AppendConflict, LogGap, StoredTask
from domain.protocol import Report
from domain.task.aggregate import GrantKnowledge, Task
from tests.support.log_harness import LogHarness, jetstream_harness, memory_harness
from tests.support.messages import created, new_id, now


@pytest.fixture(params=["memory", "jetstream", "jetstream-grouped"])
async def harness(request: pytest.FixtureRequest, js_connection: Client) -> LogHarness:
    if request.param == "memory":
        return memory_harness()
    return jetstream_harness(js_connection, grouped=request.param.endswith("grouped"), retry_seconds=0.01)


async def create(harness: LogHarness, **spec: object) -> StoredTask:
    task = Task.create(new_id(), created(**spec), at=now(), actor="operator:ann")
    return await harness.tasks.append(StoredTask(task, 0, FIRST_CHAIN, fresh=True))


async def take(events: AsyncIterator[object], count: int) -> list[Recorded]:
    found: list[Recorded] = []
    async with asyncio.timeout(20):
        async for batch in events:
            found.extend(batch)
            if len(found) >= count:
                return found
    raise AssertionError("the log ended")


async def test_a_task_loads_as_it_was_appended(harness: LogHarness) -> None:
    stored = await create(harness, env={"TOKEN": "sealed"}, labels={"team": "käse"})
    stored.task.dispatch(None, at=now(), actor="operator:ann")
    stored = await harness.tasks.append(stored)
    loaded = await harness.new_store().load(stored.task.id)
    assert loaded is not None
    assert loaded.fresh
    assert (loaded.seq, loaded.chain) == (stored.seq, stored.chain)
    assert loaded.task == stored.task


async def test_an_unknown_task_is_none(harness: LogHarness) -> None:
    assert await harness.tasks.load(new_id()) is None


async def test_of_racing_appends_one_wins(harness: LogHarness) -> None:
    stored = await create(harness)
    stores = [harness.new_store() for _ in range(3)]

    async def race(number: int) -> str:
        loaded = await stores[number].load(stored.task.id)
        assert loaded is not None
        loaded.task.dispatch(None, at=now(), actor=f"operator:{number}")
        try:
            await stores[number].append(loaded)
        except AppendConflict:
            return "lost"
        return "won"

    assert sorted(await asyncio.gather(*map(race, range(3)))) == ["lost", "lost", "won"]
    final = await harness.new_store().load(stored.task.id)
    assert final is not None
    assert final.task.version == 2


async def test_a_lost_race_empties_the_cache(harness: LogHarness) -> None:
    stored = await create(harness)
    other = await harness.new_store().load(stored.task.id)
    assert other is not None
    other.task.cancel(reason=None, at=now(), actor="operator:ann")
    await harness.new_store().append(other)
    cached = await harness.tasks.load(stored.task.id)
    assert cached is not None
    assert not cached.fresh
    assert not await harness.tasks.is_current(cached)
    again = await harness.tasks.load(stored.task.id)
    assert again is not None
    assert again.task.status == "canceled"


async def test_the_same_message_twice_stands_once(harness: LogHarness) -> None:
    message = encode(
        "task",
        new_id(),
        "created",
        created(),
        id=new_id(),
        version=1,
        at=now(),
        actor="operator:ann",
        expected_seq=0,
    )
    assert await harness.appender.append(message) == 1
    assert await harness.appender.append(message) == 1
    assert await harness.reader.last_seq() == 1


async def test_many_concurrent_appends_all_stand(harness: LogHarness) -> None:
    stored = await asyncio.gather(*(create(harness) for _ in range(200)))
    assert sorted(one.seq for one in stored) == list(range(1, 201))
    for one in stored[::20]:
        loaded = await harness.new_store().load(one.task.id)
        assert loaded is not None
        assert (loaded.seq, loaded.chain) == (one.seq, one.chain)


async def test_a_conflict_amid_many_appends_hits_only_its_own(harness: LogHarness) -> None:
    stored = await create(harness)
    stale = await harness.new_store().load(stored.task.id)
    assert stale is not None
    stored.task.dispatch(None, at=now(), actor="operator:ann")
    await harness.tasks.append(stored)
    stale.task.cancel(reason=None, at=now(), actor="operator:ann")
    outcomes = await asyncio.gather(
        *(create(harness) for _ in range(40)), harness.new_store().append(stale), return_exceptions=True
    )
    assert [type(one) for one in outcomes if isinstance(one, BaseException)] == [AppendConflict]
    assert await harness.reader.last_seq() == 42


async def test_following_sees_everything_in_order_and_what_comes_later(harness: LogHarness) -> None:
    for _ in range(5):
        await create(harness)
    events = harness.reader.follow(2)
    first = await take(events, 3)
    assert [event.seq for event in first] == [3, 4, 5]
    late = await create(harness)
    assert [event.seq for event in await take(events, 1)] == [late.seq]
    await events.aclose()


async def test_a_log_that_ends_before_the_position_stops_the_reader(harness: LogHarness) -> None:
    await create(harness)
    with pytest.raises(LogGap):
        await take(harness.reader.follow(5), 1)


async def test_a_failed_change_is_nobody_elses(harness: LogHarness) -> None:
    """Refused, conflicting or canceled: what stands in the log is what everyone loads."""
    stored = await create(harness)
    loaded = await harness.tasks.load(stored.task.id)
    assert loaded is not None
    loaded.task.cancel(reason=None, at=now(), actor="operator:ann")
    again = await harness.tasks.load(stored.task.id)
    assert again is not None
    assert again.task.status == "created"
    assert stored.task.status == "created"
    again.task.dispatch(None, at=now(), actor="operator:ann")
    await harness.tasks.append(again)
    with pytest.raises(AppendConflict):
        await harness.tasks.append(loaded)
    final = await harness.tasks.load(stored.task.id)
    assert final is not None
    assert (final.task.status, final.task.version) == ("dispatched", 2)


async def test_an_empty_page_is_empty(harness: LogHarness) -> None:
    await create(harness)
    assert await harness.reader.page(0, 0) == []
    assert await harness.reader.page(1, 10) == []


async def test_pages_and_single_events(harness: LogHarness) -> None:
    tasks = [await create(harness) for _ in range(6)]
    wanted = EventFilter("task", tasks[3].task.id)
    assert [event.seq for event in await harness.reader.page(2, 3)] == [3, 4, 5]
    assert [event.seq for event in await harness.reader.page(0, 10, wanted)] == [4]
    assert [event.seq for event in await harness.reader.page(4, 10, wanted)] == []
    assert [event.seq for event in await harness.reader.page(1, 2, EventFilter(event="created"))] == [2, 3]
    assert await harness.reader.page(0, 10, EventFilter("lock")) == []
    assert [event.subject_id for event in await harness.reader.at([2, 6])] == [
        tasks[1].task.id,
        tasks[5].task.id,
    ]
    assert await harness.reader.last_seq_of(wanted) == 4


async def test_lock_facts_chain_within_their_workspace(harness: LogHarness) -> None:
    def grant(expected: int, version: int, previous: str) -> LockFact:
        data = GrantedData(task_id=new_id(), attempt=1, root="/w", paths=[], mode="shared", seen_seq=0)
        return LockFact("acme", "granted", data, expected, version, previous)

    first = await harness.locks.append_lock(grant(0, 1, FIRST_CHAIN), at=now(), actor="lock-projection")
    second = await harness.locks.append_lock(
        grant(first.seq, 2, first.chain), at=now(), actor="lock-projection"
    )
    with pytest.raises(AppendConflict):
        await harness.locks.append_lock(grant(first.seq, 2, first.chain), at=now(), actor="lock-projection")
    stored = await harness.reader.page(0, 10, EventFilter("lock", "acme"))
    assert [(event.seq, event.version, event.chain) for event in stored] == [
        (first.seq, 1, first.chain),
        (second.seq, 2, second.chain),
    ]


async def test_registrations(harness: LogHarness) -> None:
    assert await harness.workspaces.last_registration("acme") is None
    first = await harness.workspaces.append_registered(
        "acme", None, "/srv/acme", "fail", at=now(), actor="operator:ann"
    )
    with pytest.raises(AppendConflict):
        await harness.workspaces.append_registered(
            "acme", None, "/srv/other", "fail", at=now(), actor="operator:bob"
        )
    removed = await harness.workspaces.append_removed("acme", first, "moved", at=now(), actor="operator:ann")
    last = await harness.workspaces.last_registration("acme")
    assert last is not None
    assert (last.seq, last.event, last.version) == (removed.seq, "removed", 2)


async def test_the_chain_of_a_whole_life_can_be_recomputed(harness: LogHarness) -> None:
    stored = await create(harness)
    stored.task.dispatch(None, at=now(), actor="operator:ann")
    stored = await harness.tasks.append(stored)
    said = Report(status="running", runner_id="r1")
    stored.task.report(said, grant=GrantKnowledge.HELD, transport="nats", at=now(), actor="runner:r1")
    stored = await harness.tasks.append(stored)
    events = await harness.reader.page(0, 10)
    assert [event.version for event in events] == [1, 2, 3]
    assert len({event.chain for event in events}) == 3
    assert events[-1].chain == stored.chain


def test_the_chain_covers_subject_headers_and_data() -> None:
    task_id = new_id()
    message = encode(
        "task", task_id, "created", created(), id="e1", version=1, at=now(), actor="a b", expected_seq=0
    )
    subject = subjects.event("task", task_id, "created")
    link = chain_link(FIRST_CHAIN, subject, message.headers, message.data)
    assert message.headers["ce-chain"] == link
    assert chain_link("1" * 64, subject, message.headers, message.data) != link
    assert chain_link(FIRST_CHAIN, subject + "x", message.headers, message.data) != link
    assert chain_link(FIRST_CHAIN, subject, {**message.headers, "ce-actor": "b"}, message.data) != link
    assert chain_link(FIRST_CHAIN, subject, message.headers, message.data + b" ") != link
    assert chain_link(FIRST_CHAIN, subject, {**message.headers, "ce-extra": "x"}, message.data) != link
    assert chain_link(FIRST_CHAIN, subject, {**message.headers, "traceparent": "x"}, message.data) == link


async def test_a_task_as_it_was_at_a_position(harness: LogHarness) -> None:
    first = await create(harness)
    seq = first.seq
    between = await create(harness)
    first.task.dispatch(None, at=now(), actor="operator:ann")
    later = await harness.tasks.append(first)
    then = await harness.tasks.load_at(first.task.id, between.seq)
    assert then is not None
    assert (then.seq, then.task.attempt) == (seq, 0)
    now_it_is = await harness.tasks.load_at(first.task.id, later.seq + 10)
    assert now_it_is is not None
    assert (now_it_is.seq, now_it_is.task.attempt) == (later.seq, 1)
    assert await harness.tasks.load_at(between.task.id, seq) is None
    assert await harness.tasks.load_at(new_id(), later.seq) is None


async def test_a_time_is_the_position_that_was_reached_by_then(harness: LogHarness) -> None:
    before = now()
    first = await create(harness)
    between = now()
    second = await create(harness)
    assert await harness.reader.seq_at(before - timedelta(hours=1)) == 0
    assert await harness.reader.seq_at(between) == first.seq
    assert await harness.reader.seq_at(now() + timedelta(hours=1)) == second.seq
