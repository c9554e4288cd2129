"""A leader that has lost its majority goes on answering reads; nothing is decided on what it says."""

from __future__ import annotations

import signal

import pytest

from adapters.event_store.appender import SingleAppender
from adapters.event_store.group_appender import GroupAppender
from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.event_store.task_cache import TaskCache
from adapters.event_store.task_store import LogTaskStore
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from infra.nats.streams import ensure_streams
from tests.support.messages import creation, new_id
from tests.support.nats import connect
from tests.support.servers.cluster import Cluster
from tests.support.waiting import eventually

NOTICED_SECONDS = 30.0


async def test_a_leader_without_a_majority_decides_nothing(nats_cluster: Cluster):
    nc = await connect(nats_cluster.urls)
    try:
        await ensure_streams(nc, 3)
        api = JetStreamApi(nc)
        appender = GroupAppender(nc, SingleAppender(nc, api), new_id)
        message = creation()
        await appender.append(message)
        leader = (await api.info())["cluster"]["leader"]
        alone = await connect(nats_cluster.urls[int(leader.removeprefix("n"))])
        others = [node for node in nats_cluster.nodes if node.url != alone.connected_url.geturl()]
        tasks = LogTaskStore(
            JetStreamEvents(JetStreamApi(alone)),
            SingleAppender(alone, JetStreamApi(alone)),
            new_id,
            TaskCache(10),
        )
        known, unknown = message.subject.split(".")[2], new_id()
        assert await tasks.load(unknown) is None
        for node in others:
            node.process.send_signal(signal.SIGSTOP)
        try:
            await eventually(lambda: _refuses(tasks, unknown), NOTICED_SECONDS)
            with pytest.raises(LogUnreachable):
                await tasks.load(known)
        finally:
            for node in others:
                node.process.send_signal(signal.SIGCONT)
        assert await eventually(lambda: _loads(tasks, known), NOTICED_SECONDS)
        await appender.close()
        await alone.close()
    finally:
        await nc.close()


async def _refuses(tasks: LogTaskStore, task_id: str) -> bool:
    try:
        await tasks.load(task_id)
    except LogUnreachable as error:
        return "may have been replaced" in error.detail
    return False


async def _loads(tasks: LogTaskStore, task_id: str) -> bool:
    try:
        return await tasks.load(task_id) is not None
    except LogUnreachable:
        return False
