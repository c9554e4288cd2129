"""Unknown outcomes on three replicas: whatever kind of event, it stands once and its appender learns where.

A retry there is answered otherwise than on one server (`duplicate`, 10158, 10164), and the leader that took
an event may be gone before it has said so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from nats.aio.client import Client

from adapters.event_store.appender import SETTLE_SECONDS, SingleAppender
from adapters.event_store.group_appender import GroupAppender
from adapters.event_store.lock_and_workspace_log import AppenderLockLog, AppenderWorkspaceLog
from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.nats.jetstream_api import JetStreamApi
from domain.locks.claims import FIRST_CHAIN, LockFact
from domain.log.events import GrantedData
from domain.ports.log import AppendConflict, Appender
from infra.nats.streams import ensure_streams
from tests.support.messages import creation, new_id, now
from tests.support.nats import connect, subjects
from tests.support.servers.cluster import Cluster, Node
from tests.support.servers.nats_proxy import CUT, DROP, PASS, NatsProxy, is_ack, on_acks
from tests.support.waiting import eventually

ELECTED_SECONDS = 30.0


@dataclass
class Three:
    """A cluster, a client that reaches one of its servers through `proxy`, and one that reaches them all."""

    cluster: Cluster
    proxy: NatsProxy
    proxied: Client
    direct: Client

    async def leader(self) -> Node:
        """The server that leads the log."""
        name = (await JetStreamApi(self.direct).info())["cluster"]["leader"]
        return self.cluster.nodes[int(name.removeprefix("n"))]

    async def stored(self) -> dict[str, int]:
        """Subjects of the log, as whoever leads it now has them."""

        async def read() -> dict[str, int] | None:
            try:
                return await subjects(self.direct, "TOWPATH")
            except (TimeoutError, AssertionError):
                return None

        return await eventually(read, ELECTED_SECONDS)


async def ignore(_: Exception) -> None:
    """Lost connections are what these tests are about."""


@pytest.fixture
async def three(nats_cluster: Cluster) -> AsyncIterator[Three]:
    """The log on three replicas; the proxy stands before a server that does not lead it."""
    direct = await connect(nats_cluster.urls, error_cb=ignore)
    await ensure_streams(direct, 3)
    leader = (await JetStreamApi(direct).info())["cluster"]["leader"]
    follower = nats_cluster.nodes[(int(leader.removeprefix("n")) + 1) % 3]
    async with NatsProxy(follower.url) as proxy:
        proxied = await connect(proxy.url, error_cb=ignore)
        yield Three(nats_cluster, proxy, proxied, direct)
        await proxied.close()
    await direct.close()


Append = Callable[[Client, Appender, str], Awaitable[int]]


async def task_event(_: Client, appender: Appender, task_id: str) -> int:
    return await appender.append(creation(task_id))


async def lock_fact(_: Client, appender: Appender, task_id: str) -> int:
    data = GrantedData(task_id=task_id, attempt=1, root="/srv", paths=[], mode="exclusive", seen_seq=0)
    fact = LockFact("acme", "granted", data, 0, 1, FIRST_CHAIN)
    return (await AppenderLockLog(appender, new_id).append_lock(fact, at=now(), actor="locks")).seq


async def registration(proxied: Client, appender: Appender, _: str) -> int:
    log = AppenderWorkspaceLog(JetStreamEvents(JetStreamApi(proxied)).last_registration, appender, new_id)
    return (await log.append_registered("acme", None, "/srv", "fail", at=now(), actor="api")).seq


KINDS: tuple[Append, ...] = (task_event, lock_fact, registration)


def appender(three: Three, kind: str, settle_seconds: float = SETTLE_SECONDS) -> Appender:
    api = JetStreamApi(three.proxied)
    one = SingleAppender(three.proxied, api, settle_seconds=settle_seconds, request_seconds=1.0)
    return one if kind == "single" else GroupAppender(three.proxied, one, new_id)


@pytest.mark.parametrize("action", [DROP, CUT])
@pytest.mark.parametrize("how", ["single", "grouped"])
async def test_each_kind_is_read_back(three: Three, how: str, action: str) -> None:
    one, task_id = appender(three, how), new_id()
    for number, append in enumerate(KINDS, start=1):
        three.proxy.rule = on_acks(action, 2)
        assert await append(three.proxied, one, task_id) == number
        three.proxy.rule = on_acks(action, 1)
        with pytest.raises(AppendConflict):
            await append(three.proxied, one, task_id)
    assert await three.stored() == {
        f"towpath.task.{task_id}.created": 1,
        "towpath.lock.acme.granted": 1,
        "towpath.workspace.acme.registered": 1,
    }


@pytest.mark.parametrize("append", KINDS)
async def test_the_next_leader_knows_what_the_killed_one_had_taken(three: Three, append: Append) -> None:
    """The acknowledgement is lost and its sender killed; the others elect, and one of them is asked."""
    leader, lost = await three.leader(), asyncio.Event()

    def rule(frame: bytes) -> str:
        if not is_ack(frame) or lost.is_set():
            return PASS
        leader.kill()
        lost.set()
        return DROP

    three.proxy.rule = rule
    one, task_id = appender(three, "grouped", settle_seconds=2 * ELECTED_SECONDS), new_id()
    assert await append(three.proxied, one, task_id) == 1
    assert lost.is_set()
    assert sum((await three.stored()).values()) == 1
    assert await one.append(creation()) == 2
