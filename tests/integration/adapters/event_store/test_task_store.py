"""The task store on JetStream: bounded reads, lagging replicas, lost acknowledgements, the leader's word."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client

from adapters.event_store.appender import SingleAppender
from adapters.event_store.group_appender import GroupAppender
from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.event_store.task_cache import TaskCache
from adapters.event_store.task_store import LogTaskStore
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable, RawMessage
from domain.locks.claims import FIRST_CHAIN
from domain.ports.log import AppendConflict, StoredTask
from domain.protocol import Report
from domain.task.aggregate import GrantKnowledge, Task
from tests.support.messages import created, new_id, now
from tests.support.nats import api
from tests.support.servers.nats_proxy import DROP, PASS, NatsProxy, is_ack
from tests.support.waiting import eventually


class LaggingReplica(JetStreamApi):
    """Direct reads miss the last `behind` messages, as those of a replica that has not applied them yet."""

    def __init__(self, connection: Client, behind: int, times: int) -> None:
        super().__init__(connection)
        self.behind, self.times = behind, times

    async def last_of_each(self, subject: str, count: int) -> list[RawMessage] | None:
        return None  # as there are replicas

    async def batch(self, subject: str, seq: int, count: int) -> list[RawMessage]:
        found = await super().batch(subject, seq, count)
        self.times -= 1
        return found[: -self.behind] if self.times >= 0 else found


def store(
    connection: Client, api: JetStreamApi | None = None, cached: int = 100, **timing: float
) -> LogTaskStore:
    api = api or JetStreamApi(connection)
    one = SingleAppender(connection, api, **timing)
    return LogTaskStore(JetStreamEvents(api), one, new_id, TaskCache(cached))


async def create(tasks: LogTaskStore) -> StoredTask:
    task = Task.create(new_id(), created(), at=now(), actor="operator:ann")
    return await tasks.append(StoredTask(task, 0, FIRST_CHAIN, fresh=True))


async def live(tasks: LogTaskStore, *, end: bool = True) -> StoredTask:
    """created, dispatched, running and, if asked, succeeded."""
    stored = await create(tasks)
    stored.task.dispatch(None, at=now(), actor="operator:ann")
    stored = await tasks.append(stored)
    for status in ("running", "succeeded")[: 2 if end else 1]:
        report = Report(status=status, runner_id="r1")
        stored.task.report(report, grant=GrantKnowledge.HELD, transport="nats", at=now(), actor="runner:r1")
        stored = await tasks.append(stored)
    return stored


ONE_READ = ["DIRECT.GET"]
LEADER_AND_REST = ["STREAM.INFO", "DIRECT.GET"]


@pytest.mark.parametrize(
    ("attempts", "replicated", "expected"),
    [
        (1, False, ONE_READ),
        (2, False, 2 * ONE_READ),
        (1, True, LEADER_AND_REST),
        (2, True, LEADER_AND_REST),
    ],
)
async def test_a_task_loads_in_two_requests_at_most_and_from_the_cache_in_none(
    js_connection: Client,
    proxy: NatsProxy,
    proxied: Client,
    attempts: int,
    replicated: bool,
    expected: list[str],
) -> None:
    writing = store(js_connection)
    stored = await live(writing, end=attempts == 1)
    if attempts == 2:
        stored.task.runner_lost(1, "gone", at=now(), actor="watchdog")
        stored = await writing.append(stored)
        stored.task.dispatch(None, at=now(), actor="operator:ann")
        stored = await writing.append(stored)
    api = LaggingReplica(proxied, 0, 0) if replicated else JetStreamApi(proxied)
    other = store(proxied, api)
    await other.load(new_id())
    before = len(proxy.published)
    loaded = await other.load(stored.task.id)
    assert loaded is not None
    assert (loaded.task, loaded.seq, loaded.chain) == (stored.task, stored.seq, stored.chain)
    asked = [subject.removeprefix("$JS.API.").split(".TOWPATH")[0] for subject in proxy.subjects()[before:]]
    assert asked == expected
    if len(expected) == 2:
        rest = stored.task.version - (0 if replicated else 1)
        assert f'"batch":{rest}'.encode() in proxy.published[-1]
    assert await other.load(stored.task.id) == StoredTask(loaded.task, loaded.seq, loaded.chain, fresh=False)
    assert len(proxy.published) == before + len(expected)


async def test_a_mirror_that_lags_is_not_believed(js_connection: Client) -> None:
    """It answers direct reads too; this one never gets further than a task's first event."""
    mirror = {
        "name": "MIRROR",
        "mirror": {"name": "TOWPATH", "filter_subject": "towpath.task.*.created"},
        "mirror_direct": True,
        "storage": "memory",
    }
    assert "error" not in await api(js_connection, "STREAM.CREATE.MIRROR", mirror)
    stored = await live(store(js_connection))

    async def answered_by_mirror() -> bool:
        reply = await js_connection.request(
            "$JS.API.DIRECT.GET.TOWPATH",
            f'{{"last_by_subj": "towpath.task.{stored.task.id}.created"}}'.encode(),
        )
        return (reply.headers or {}).get("Nats-Stream") == "MIRROR"

    await eventually(answered_by_mirror)
    for _ in range(20):
        loaded = await store(js_connection).load(stored.task.id)
        assert loaded is not None
        assert (loaded.task, loaded.seq) == (stored.task, stored.seq)


@pytest.mark.parametrize("behind", [1, 2, 3])
@pytest.mark.parametrize("times", [2, 1000])
async def test_a_lagging_replica_delays_a_load_and_changes_nothing(
    js_connection: Client, behind: int, times: int
) -> None:
    stored = await live(store(js_connection))
    loaded = await store(js_connection, LaggingReplica(js_connection, behind, times)).load(stored.task.id)
    assert loaded is not None
    assert (loaded.task, loaded.seq, loaded.chain) == (stored.task, stored.seq, stored.chain)


async def test_a_lost_race_forgets_and_the_leader_tells_a_stale_task(js_connection: Client) -> None:
    ours, theirs = store(js_connection), store(js_connection)
    stored = await live(ours, end=False)
    rival = await theirs.load(stored.task.id)
    assert rival is not None
    assert await theirs.is_current(rival)
    assert rival.fresh
    rival.task.cancel(reason=None, at=now(), actor="operator:bob")
    await theirs.append(rival)
    late = await ours.load(stored.task.id)
    assert late is not None
    late.task.cancel(reason=None, at=now(), actor="operator:ann")
    with pytest.raises(AppendConflict):
        await ours.append(late)
    again = await ours.load(stored.task.id)
    assert again is not None
    assert again.fresh
    assert again.task.cancel_requested
    assert again.seq == rival.seq + 1


async def test_nobody_sees_a_change_that_the_log_has_not_taken(
    proxy: NatsProxy, proxied: Client, js_connection: Client
) -> None:
    """Who loaded the task while an append is under way keeps what stands; so does who loads it meanwhile."""
    tasks = store(proxied)
    stored = await live(tasks, end=False)
    earlier = await tasks.load(stored.task.id)
    assert earlier is not None
    silent = asyncio.Event()

    def rule(frame: bytes) -> str:
        if is_ack(frame):
            silent.set()
        return DROP if silent.is_set() and frame.startswith((b"MSG", b"HMSG")) else PASS

    proxy.rule = rule
    stored.task.cancel(reason=None, at=now(), actor="operator:ann")
    appending = asyncio.create_task(tasks.append(stored))
    await silent.wait()
    meanwhile = await tasks.load(stored.task.id)
    assert meanwhile is not None
    assert not meanwhile.task.cancel_requested
    assert not earlier.task.cancel_requested
    assert not meanwhile.task.pending_events
    appending.cancel()
    await asyncio.wait({appending})
    proxy.rule = lambda _: PASS
    settled = await tasks.load(stored.task.id)
    assert settled is not None
    assert settled.task.cancel_requested
    assert settled.seq == earlier.seq + 1


async def test_a_canceled_append_that_stands_later_is_found(proxy: NatsProxy, proxied: Client) -> None:
    """Canceled once it is on its way; the event is appended all the same, behind the cache's back."""
    api = JetStreamApi(proxied)
    grouped = GroupAppender(proxied, SingleAppender(proxied, api), new_id)
    tasks = LogTaskStore(JetStreamEvents(api), grouped, new_id, TaskCache(100))
    stored = await live(tasks, end=False)
    async with tasks.exclusive(stored.task.id):
        loaded = await tasks.load(stored.task.id)
        assert loaded is not None
        loaded.task.cancel(reason=None, at=now(), actor="operator:ann")
        before = len(proxy.published)
        appending = asyncio.create_task(tasks.append(loaded))
        async with asyncio.timeout(5):
            while len(proxy.published) == before:  # at once: soon it is acknowledged
                await asyncio.sleep(0)
        appending.cancel()
        await asyncio.wait({appending})
    assert appending.cancelled()
    await grouped.close()
    await eventually(lambda: api.count(f"towpath.task.{stored.task.id}.cancel-requested"))
    again = await tasks.load(stored.task.id)
    assert again is not None
    assert again.task.cancel_requested
    assert not again.task.pending_events
    again.task.runner_lost(1, "gone", at=now(), actor="watchdog")
    assert (await tasks.append(again)).seq == stored.seq + 2


async def test_an_append_that_is_canceled_while_it_waits_its_turn_is_dropped(proxied: Client) -> None:
    api = JetStreamApi(proxied)
    grouped = GroupAppender(proxied, SingleAppender(proxied, api), new_id)
    tasks = LogTaskStore(JetStreamEvents(api), grouped, new_id, TaskCache(100))
    stored = await live(tasks, end=False)
    loaded = await tasks.load(stored.task.id)
    assert loaded is not None
    loaded.task.cancel(reason=None, at=now(), actor="operator:ann")
    appending = asyncio.create_task(tasks.append(loaded))
    await asyncio.sleep(0)
    appending.cancel()
    await asyncio.wait({appending})
    await grouped.close()
    again = await tasks.load(stored.task.id)
    assert again is not None
    assert (again.seq, again.task.cancel_requested) == (stored.seq, False)


async def test_when_the_log_is_silent_the_change_is_forgotten(proxy: NatsProxy, proxied: Client) -> None:
    impatient = JetStreamApi(proxied, request_seconds=0.2)
    tasks = store(proxied, impatient, settle_seconds=0.2, request_seconds=0.2)
    stored = await live(tasks, end=False)
    proxy.rule = lambda frame: DROP if frame.startswith((b"MSG", b"HMSG")) else PASS
    loaded = await tasks.load(stored.task.id)
    assert loaded is not None
    loaded.task.cancel(reason=None, at=now(), actor="operator:ann")
    with pytest.raises(LogUnreachable):
        await tasks.append(loaded)
    with pytest.raises(LogUnreachable):
        await tasks.load(stored.task.id)
    proxy.rule = lambda _: PASS
    again = await eventually(lambda: tasks.load(stored.task.id))
    assert again.task.cancel_requested


async def test_the_cache_is_bounded(js_connection: Client, proxy: NatsProxy, proxied: Client) -> None:
    tasks = store(proxied, cached=2)
    ids = [(await create(tasks)).task.id for _ in range(3)]
    before = len(proxy.published)
    await tasks.load(ids[2])
    await tasks.load(ids[1])
    assert len(proxy.published) == before
    await tasks.load(ids[0])
    asked = [subject.split(".")[2:4] for subject in proxy.subjects()[before:]]
    assert asked == [["STREAM", "INFO"], ["DIRECT", "GET"]]  # the first: now and then, who leads
