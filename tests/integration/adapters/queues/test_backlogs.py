"""How far a queue's workers are behind: what waits and what is under way, and since when."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from nats.aio.client import Client

from adapters.event_store.appender import SingleAppender
from adapters.nats.jetstream_api import JetStreamApi
from adapters.queues.backlogs import JetStreamBacklogs, Queue
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.work_queue import JetStreamEventQueue
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from tests.support.messages import creation, now
from tests.support.waiting import eventually


async def test_a_backlog_grows_and_is_worked_off(js_connection: Client) -> None:
    backlogs = JetStreamBacklogs(js_connection, [Queue("dispatch", "TOWPATH", "dispatch")])
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
