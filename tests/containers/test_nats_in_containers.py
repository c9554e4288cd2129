"""The log on NATS as people deploy it: one container, and three containers that replicate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.errors import APIError
from testcontainers.community.nats import NatsContainer

from domain.locks.claims import FIRST_CHAIN
from domain.ports.log import AppendConflict, StoredTask
from domain.task.aggregate import Task
from infra.nats.monitoring import server_facts
from infra.nats.stream_definitions import stream_definitions
from infra.nats.streams import ensure_streams
from tests.acceptance.jobs import hold, let_go
from tests.support.log_harness import LogHarness, jetstream_harness
from tests.support.messages import created, new_id, now
from tests.support.nats import api, append, connect, subjects
from tests.support.observers.audit import audit
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

pytestmark = pytest.mark.containers

RACES, WRITERS = 300, 3


async def test_the_log_works_in_a_container(nats_container: NatsContainer, container_connection: Client):
    await append(container_connection, "A", "created", 0)
    with pytest.raises(APIError):
        await append(container_connection, "A", "dispatched", 0)
    await append(container_connection, "A", "dispatched", 1)
    assert sum((await subjects(container_connection, "TOWPATH")).values()) == 2
    monitor = f"http://{nats_container.get_container_host_ip()}:{nats_container.get_exposed_port(8222)}"
    facts = await server_facts(monitor)
    assert facts.sync_always


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Where the installed command runs; whatever it leaves is ended."""
    home = Home(tmp_path)
    yield home
    home.close()


async def test_a_task_lives_on_a_nats_in_a_container(nats_container: NatsContainer, home: Home):
    up = home.up(TOWPATH_NATS_URL=nats_container.nats_uri())
    root = up.workspace("shop")
    holder = hold(up, root, "shop", ["src"])
    await eventually(lambda: up.task(holder)["status"] == "running", DEADLINE)
    waiter = up.create(["sh", "-c", "echo token $TOWPATH_LOCK_TOKEN"], workspace="shop", lock_paths=["src"])
    assert up.task(waiter)["lock"]["blocked_by"] == [holder]
    let_go(root, holder)
    for task_id in (holder, waiter):
        ended = await eventually(lambda task_id=task_id: up.ended(task_id), DEADLINE)
        assert ended["status"] == "succeeded", ended
    await eventually(lambda: up.holders() == {}, DEADLINE)

    found = await audit(nats_container.nats_uri())
    assert up.task(waiter)["output_tail"] == f"token {found.granted[waiter, 1][0]}\n"
    lock = [subject.rpartition(".")[2] for subject in found.subjects.values() if ".lock." in subject]
    assert lock == ["granted", "released", "granted", "released"]
    assert up.server.interrupt() == 0
    assert home.processes() == []


async def test_of_three_writers_on_three_replicas_exactly_one_wins(nats_container_cluster: list[str]):
    """Through the product's own stores, each on a node of its own and with a cache of its own."""
    connections = [await connect([url], no_echo=True) for url in nats_container_cluster]
    assert len(connections) == WRITERS
    await ensure_streams(connections[0], replicas=3)
    for definition in stream_definitions():
        info = await api(connections[0], f"STREAM.INFO.{definition.name}")
        assert info["config"]["num_replicas"] == 3
    writers = [jetstream_harness(connection, grouped=False) for connection in connections]

    watched: list[str] = []

    async def note(message: object) -> None:
        watched.append(message.subject)

    await connections[0].subscribe("towpath.task.*.dispatched", cb=note)
    await connections[0].flush()
    for race in range(RACES):
        task_id = await _create(writers[race % WRITERS])
        decided = [await _decide(one, task_id, str(number)) for number, one in enumerate(writers)]
        won = await asyncio.gather(*map(_append, writers, decided))
        winners = [str(number) for number, one in enumerate(won) if one]
        assert len(winners) == 1, f"race {race}: {winners}"
        for writer in writers:
            stored = await writer.tasks.load(task_id)
            assert stored is not None
            assert stored.task.dispatched is not None
            assert (stored.task.dispatched.by, stored.task.version) == (winners[0], 2)

    stored_subjects = await subjects(connections[0], "TOWPATH")
    dispatched = [subject for subject in stored_subjects if subject.endswith(".dispatched")]
    assert len(dispatched) == RACES
    assert {stored_subjects[subject] for subject in dispatched} == {1}
    await eventually(lambda: len(watched) >= RACES, DEADLINE)
    assert sorted(watched) == sorted(dispatched)
    for connection in connections:
        await connection.close()


async def _create(writer: LogHarness) -> str:
    task = Task.create(new_id(), created(), at=now(), actor="test")
    await writer.tasks.append(StoredTask(task, 0, FIRST_CHAIN, fresh=True))
    return task.id


async def _decide(writer: LogHarness, task_id: str, name: str) -> StoredTask:
    """The task as `writer` has loaded it, with a `dispatched` by `name` that is not appended yet."""
    stored = await writer.tasks.load(task_id)
    assert stored is not None
    stored.task.dispatch(None, at=now(), actor=name)
    return stored


async def _append(writer: LogHarness, stored: StoredTask) -> bool:
    try:
        await writer.tasks.append(stored)
    except AppendConflict:
        return False
    return True
