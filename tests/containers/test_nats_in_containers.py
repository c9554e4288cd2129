"""The log on NATS as people deploy it: one container, and three containers that replicate."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client
from nats.js.errors import APIError
from testcontainers.community.nats import NatsContainer

from infra.server_facts import server_facts
from infra.stream_definitions import stream_definitions
from infra.streams import ensure_streams
from tests.support.nats import api, append, connect, subjects

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


async def test_of_three_writers_on_three_replicas_exactly_one_wins(nats_container_cluster: list[str]):
    writers = [await connect([url], no_echo=True) for url in nats_container_cluster]
    assert len(writers) == WRITERS
    await ensure_streams(writers[0], replicas=3)
    for definition in stream_definitions():
        info = await api(writers[0], f"STREAM.INFO.{definition.name}")
        assert info["config"]["num_replicas"] == 3

    watched: list[str] = []

    async def note(message: object) -> None:
        watched.append(message.subject)  # type: ignore[attr-defined]

    async def attempt(nc: Client, task: str, sequence: int, number: int) -> bool:
        try:
            await append(nc, task, "running", sequence, str(number).encode(), **{"ce-id": f"{task}-{number}"})
        except APIError as refused:
            assert refused.err_code in (10071, 10164), refused  # noqa: PT017 - anything else is no lost race
            return False
        return True

    await writers[0].subscribe("towpath.task.*.running", cb=note)
    await writers[0].flush()
    for race in range(RACES):
        task = f"t{race}"
        created = await append(writers[race % WRITERS], task, "created", 0)
        attempts = [attempt(nc, task, created.seq, number) for number, nc in enumerate(writers)]
        assert sum(await asyncio.gather(*attempts)) == 1

    stored = await subjects(writers[0], "TOWPATH")
    running = [subject for subject in stored if subject.endswith(".running")]
    assert len(running) == RACES
    assert {stored[subject] for subject in running} == {1}
    assert sorted(watched) == sorted(running)
    for nc in writers:
        await nc.close()
