"""A replica that has lost the others and knows of no leader answers STREAM.INFO from what it has."""

from __future__ import annotations

import nats.errors
import pytest

from adapters.event_store.appender import SingleAppender
from adapters.event_store.codec import filter_of
from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from infra.nats.streams import check_streams, ensure_streams
from tests.support.messages import creation, new_id
from tests.support.nats import api, connect
from tests.support.servers.cluster import Cluster
from tests.support.waiting import eventually

LEADERLESS_SECONDS = 60.0


async def test_what_it_says_decides_nothing(nats_cluster: Cluster) -> None:
    everybody = await connect(nats_cluster.urls)
    await ensure_streams(everybody, 3)
    task_id, log = new_id(), JetStreamApi(everybody)
    await SingleAppender(everybody, log).append(creation(task_id))
    leader = int((await log.info())["cluster"]["leader"].removeprefix("n"))
    await everybody.close()
    left = nats_cluster.nodes[(leader + 1) % 3]
    alone = await connect(left.url)
    for node in nats_cluster.nodes:
        if node is not left:
            node.kill()

    async def leaderless() -> bool:
        try:
            told = await api(alone, "STREAM.INFO.TOWPATH", timeout=1)
        except Exception:
            return False
        return "state" in told and not told["cluster"].get("leader")

    await eventually(leaderless, LEADERLESS_SECONDS)
    asked, subject = JetStreamApi(alone), filter_of("task", task_id)
    questions = (
        asked.info,
        lambda: asked.count(subject),
        lambda: asked.last(subject),
        lambda: JetStreamEvents(asked).all(task_id),
    )
    for question in questions:
        with pytest.raises(LogUnreachable):
            await question()

    async def doctor_says_so() -> bool:
        try:
            faults = await check_streams(alone, election_seconds=0)
        except nats.errors.TimeoutError:  # it still takes another for the leader
            return False
        return all(
            [fault.found for fault in found] == ["no replica leads it: it stores and gives out nothing"]
            for found in faults.values()
        )

    await eventually(doctor_says_so, LEADERLESS_SECONDS)
    await alone.close()
