"""What the recorders do while NATS loses messages, is killed, or is not there at all."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError

from eventsourcing_nats import NatsFactory
from infra.nats.embedded_server import EmbeddedNats
from nats_settings import Nats
from stored_events import events
from tests.support.nats import api, connect
from tests.support.servers.cluster import Cluster, Node
from tests.support.servers.nats_proxy import CUT, DROP, PASS, NatsProxy, Rule
from tests.support.waiting import eventually

SOON = "8"  # a request is given up after a quarter of it


def on_acknowledgements(action: str, times: int) -> Rule:
    """Do `action` to the next `times` acknowledgements of a publish."""
    left = times

    def rule(frame: bytes) -> str:
        nonlocal left
        if left and b'"stream":"' in frame and b'"seq":' in frame and b'"type"' not in frame:
            left -= 1
            return action
        return PASS

    return rule


@pytest.mark.parametrize("action", [DROP, CUT])
@pytest.mark.parametrize("count", [1, 3])
async def test_a_lost_acknowledgement_stores_it_once(proxy: NatsProxy, action: str, count: int) -> None:
    factory = Nats(proxy.url).factory(NATS_TIMEOUT=SOON)
    recorder = await asyncio.to_thread(factory.application_recorder)
    proxy.rule = on_acknowledgements(action, 1)
    assert await asyncio.to_thread(recorder.insert_events, events(count)) == list(range(1, count + 1))
    assert len(await asyncio.to_thread(recorder.select_notifications, 1, 10)) == count
    await asyncio.to_thread(factory.close)


async def test_a_conflict_behind_a_lost_acknowledgement_is_told_from_ones_own_write(
    proxy: NatsProxy, nats_server: EmbeddedNats
) -> None:
    settings = Nats(proxy.url).settings(NATS_TIMEOUT=SOON)
    slow, fast = NatsFactory(settings), NatsFactory({**settings, "NATS_URL": nats_server.control_url})
    recorder = await asyncio.to_thread(slow.application_recorder)
    other = await asyncio.to_thread(fast.application_recorder)
    await asyncio.to_thread(recorder.insert_events, events(1))

    proxy.rule = on_acknowledgements(DROP, 1)
    writing = asyncio.create_task(asyncio.to_thread(recorder.insert_events, events(2, first=2)))
    await eventually(lambda: asyncio.to_thread(lambda: other.max_notification_id() == 3))
    await asyncio.to_thread(other.insert_events, events(1, first=4))  # stands behind the unacknowledged one
    assert await writing == [2, 3]
    with pytest.raises(IntegrityError):
        await asyncio.to_thread(recorder.insert_events, events(1, first=4))
    for factory in (slow, fast):
        await asyncio.to_thread(factory.close)


async def test_nothing_that_was_acknowledged_is_lost_when_the_server_is_killed(
    nats_server: EmbeddedNats,
) -> None:
    """Killed with -9 in the middle of concurrent writes, three times, and started again on its data."""

    async def kill() -> None:
        await killed(nats_server)
        nats_server.start()

    await writing_through(Nats(nats_server.control_url), [kill] * 3)


async def test_nothing_that_was_acknowledged_is_lost_when_nodes_of_a_cluster_are_killed(
    nats_cluster: Cluster,
) -> None:
    """Each node in turn, so the leader too; the two others go on meanwhile."""

    def kill(node: Node) -> Callable[[], Awaitable[None]]:
        async def kill_and_start() -> None:
            node.kill()
            node.start()
            await nats_cluster.ready()

        return kill_and_start

    await writing_through(
        Nats(",".join(nats_cluster.urls), replicas=3), [kill(node) for node in nats_cluster.nodes]
    )


async def killed(server: EmbeddedNats) -> None:
    """SIGKILL, and wait until it is gone."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await eventually(lambda: server.pid is None)


async def writing_through(nats: Nats, faults: list[Callable[[], Awaitable[None]]]) -> None:
    """Four threads write while each fault happens; then exactly what was acknowledged is stored."""
    factory = nats.factory(NATS_TIMEOUT="60")
    recorder = await asyncio.to_thread(factory.application_recorder)
    acknowledged: dict[int, tuple[str, int]] = {}
    enough = threading.Event()

    def write(originator: str) -> None:
        version = 1
        while not enough.is_set():
            written = events(1 + version % 3, version, originator)
            ids = recorder.insert_events(written)
            assert ids is not None
            for number, event in zip(ids, written, strict=True):
                assert number not in acknowledged
                acknowledged[number] = (originator, event.originator_version)
            version += len(written)

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, str(uuid4())) for _ in range(4)]
        try:
            for fault in faults:
                before = len(acknowledged)
                await eventually(lambda before=before: len(acknowledged) > before + 100, 60)
                await fault()
            before = len(acknowledged)
            await eventually(lambda: len(acknowledged) > before + 100, 60)
        finally:
            enough.set()
        for done in writers:
            done.result(60)
    stored = await asyncio.to_thread(recorder.select_notifications, 1, 1_000_000)
    assert {one.id: (one.originator_id, one.originator_version) for one in stored} == acknowledged
    assert [one.id for one in stored] == list(range(1, len(stored) + 1))
    await asyncio.to_thread(factory.close)


async def test_a_subscription_goes_on_after_the_server_was_killed(nats_server: EmbeddedNats) -> None:
    factory = Nats(nats_server.control_url).factory(NATS_TIMEOUT="60")
    recorder = await asyncio.to_thread(factory.application_recorder)
    subscription = await asyncio.to_thread(recorder.subscribe)
    await asyncio.to_thread(recorder.insert_events, events(1))
    assert (await asyncio.to_thread(next, subscription)).id == 1
    await killed(nats_server)
    nats_server.start()
    await asyncio.to_thread(recorder.insert_events, events(1, first=2))
    assert (await asyncio.to_thread(next, subscription)).id == 2
    with subscription:
        pass
    await asyncio.to_thread(factory.close)


def test_a_server_that_is_not_there_fails_within_the_timeout() -> None:
    factory = Nats("nats://127.0.0.1:1").factory(NATS_TIMEOUT="0.5")
    began = time.monotonic()
    with pytest.raises(OperationalError, match="NATS_URL"):
        factory.application_recorder()
    assert time.monotonic() - began < 10
    factory.close()


async def test_a_server_that_went_away_fails_within_the_timeout(nats_server: EmbeddedNats) -> None:
    factory = Nats(nats_server.control_url).factory(NATS_TIMEOUT="0.5")
    recorder = await asyncio.to_thread(factory.application_recorder)
    nats_server.stop()
    for call in (lambda: recorder.insert_events(events(1)), lambda: recorder.select_events("a")):
        with pytest.raises(OperationalError, match=r"within 0\.5 s"):
            await asyncio.to_thread(call)
    await asyncio.to_thread(factory.close)


def test_wrong_credentials_are_said(nats_server: EmbeddedNats) -> None:
    factory = Nats(nats_server.url).factory(NATS_USER="towpath", NATS_PASSWORD="wrong", NATS_TIMEOUT="1")
    with pytest.raises(OperationalError, match=r"(?i)authorization"):
        factory.application_recorder()
    factory.close()


async def test_a_leader_that_may_have_been_replaced_answers_nothing(nats_cluster: Cluster) -> None:
    nats = Nats(",".join(nats_cluster.urls), replicas=3)
    env = nats.settings(NATS_TIMEOUT="60")
    factory = NatsFactory(env)
    recorder = await asyncio.to_thread(factory.application_recorder)
    await asyncio.to_thread(recorder.insert_events, events(1))
    leader = await nats_cluster_leader(nats_cluster, f"{env['NATS_STREAM_PREFIX']}-stored-events")
    alone = NatsFactory({**env, "NATS_URL": leader.url, "NATS_TIMEOUT": "2", "CREATE_TABLE": "no"})
    read = (await asyncio.to_thread(alone.application_recorder)).max_notification_id
    assert await asyncio.to_thread(read) == 1
    others = [node for node in nats_cluster.nodes if node is not leader]
    for node in others:
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)
    try:
        await eventually(lambda: asyncio.to_thread(refused, read, "may have been replaced"), 30)
    finally:
        for node in others:
            assert node.process is not None
            node.process.send_signal(signal.SIGCONT)
    assert await asyncio.to_thread(recorder.insert_events, events(1, first=2)) == [2]
    for each in (factory, alone):
        await asyncio.to_thread(each.close)


async def nats_cluster_leader(cluster: Cluster, stream: str) -> Node:
    """The node that leads a stream."""
    nc = await connect(cluster.urls)
    name = (await api(nc, f"STREAM.INFO.{stream}"))["cluster"]["leader"]
    await nc.close()
    return cluster.nodes[int(name.removeprefix("n"))]


def refused(call: Callable[[], object], words: str) -> bool:
    """Whether a call fails with these words."""
    try:
        call()
    except OperationalError as error:
        return words in str(error)
    return False
