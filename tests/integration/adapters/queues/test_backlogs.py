"""How far a queue's workers are behind: what waits and what is under way, and since when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from adapters.event_store.appender import SingleAppender
from adapters.nats.jetstream_api import JetStreamApi
from adapters.queues import backlogs as backlogs_module
from adapters.queues.backlogs import JetStreamBacklogs, Queue
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.work_queue import JetStreamEventQueue
from domain.errors import Busy
from domain.identifiers import LogSeq
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.read_model import EventSeqs
from tests.support.messages import creation, now
from tests.support.waiting import eventually


class Index:
    """A read model that knows the log up to `position`; None: its database is away."""

    def __init__(self, position: int | None, seqs: Sequence[int] = ()) -> None:
        self._position, self._seqs = position, seqs

    async def event_seqs(
        self, names: Sequence[str], after: int, before: int, limit: int, *, newest: bool = False
    ) -> EventSeqs:
        if self._position is None:
            raise Busy("read-model-unreachable", "away")
        assert set(names) == {"asked", "created", "granted"}
        known = [LogSeq(seq) for seq in self._seqs if after < seq <= self._position]
        return EventSeqs(known[:limit], LogSeq(self._position))


@pytest.mark.parametrize("known", [None, 0, 3, 5])
@pytest.mark.parametrize("near", [1, 50])
async def test_the_oldest_of_several_patterns_is_found(
    js_connection: Client, monkeypatch: pytest.MonkeyPatch, known: int | None, near: int
) -> None:
    monkeypatch.setattr(backlogs_module, "NEAR", near)
    js, api = js_connection.jetstream(), JetStreamApi(js_connection)
    appender = SingleAppender(js_connection, api)
    for _ in range(5):
        await appender.append(creation())
    before = [await api.get(seq) for seq in range(1, 6)]
    index: Any = Index(known, range(1, 6))
    queues = JetStreamBacklogs(js_connection, [Queue("dispatch", "TOWPATH", "dispatch")], index)
    config = ConsumerConfig(
        durable_name="dispatch",
        ack_policy=AckPolicy.EXPLICIT,
        filter_subjects=["towpath.task.*.asked", "towpath.task.*.created", "towpath.lock.*.granted"],
    )
    await js.add_consumer("TOWPATH", config)
    pulled = await js.pull_subscribe_bind("dispatch", "TOWPATH")

    async def waiting() -> int:
        found = (await queues.all())["dispatch"]
        return found.messages if found is not None else -1

    for number, stored in enumerate(before):
        await eventually(lambda number=number: _is(waiting, 5 - number))
        found = (await queues.all())["dispatch"]
        assert found is not None
        assert stored is not None
        assert found.oldest == datetime.fromisoformat(stored.time)
        (message,) = await pulled.fetch(1)
        await message.ack_sync()


async def test_a_backlog_grows_and_is_worked_off(js_connection: Client) -> None:
    index: Any = Index(None)
    backlogs = JetStreamBacklogs(js_connection, [Queue("dispatch", "TOWPATH", "dispatch")], index)
    assert backlogs.names == ["dispatch"]
    assert await backlogs.all() == {"dispatch": None}

    go_on = asyncio.Event()

    async def handle(_: Recorded) -> None:
        await go_on.wait()

    queue = JetStreamEventQueue(
        js_connection,
        JetStreamDeadLetters(js_connection),
        "dispatch",
        (EventFilter("task", event="created"),),
    )
    working = asyncio.create_task(queue.consume(handle))
    try:
        appender = SingleAppender(js_connection, JetStreamApi(js_connection))
        before = now()
        for _ in range(3):
            await appender.append(creation())

        async def waiting() -> int:
            found = (await backlogs.all())["dispatch"]
            return found.messages if found is not None else -1

        await eventually(lambda: _is(waiting, 3))
        found = (await backlogs.all())["dispatch"]
        assert found is not None
        assert found.oldest is not None
        assert before - timedelta(seconds=1) <= found.oldest <= now()

        go_on.set()
        await eventually(lambda: _is(waiting, 0))
        found = (await backlogs.all())["dispatch"]
        assert found is not None
        assert found.oldest is None
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _is(count: object, wanted: int) -> bool:
    return await count() == wanted
