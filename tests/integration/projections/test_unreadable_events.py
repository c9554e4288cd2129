"""An event of an unknown type or a newer version: no fold goes past it, and a queue sets it aside."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from adapters.event_store.codec import EXPECTED_FILTER, EXPECTED_SEQ
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.work_queue import JetStreamEventQueue, QueuePolicy
from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel
from domain.backoff import Backoff
from domain.log.record import Recorded
from projections.dispatch import ACTED_ON
from projections.lock_view import FoldedLockView
from projections.read_model import ReadModelProjection
from tests.integration.projections.harness import ProjectionHarness
from tests.support.memory_store import MemorySnapshots
from tests.support.messages import new_id
from tests.support.waiting import eventually

UNREADABLE = [("paused", "towpath.task.paused.v1"), ("dispatched", "towpath.task.dispatched.v2")]


async def append(connection: Client, task_id: str, event: str, type_name: str) -> int:
    """What a newer version, or a stranger with its password, would append."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": new_id(),
        "ce-type": type_name,
        "ce-time": "2026-03-01T12:00:00.000000Z",
        "ce-actor": "future",
        "ce-entityversion": "1",
        "ce-chain": "0" * 64,
        EXPECTED_SEQ: "0",
        EXPECTED_FILTER: f"towpath.task.{task_id}.*",
    }
    ack = await connection.jetstream().publish(
        f"towpath.append.task.{task_id}.{event}", b"{}", headers=headers
    )
    return ack.seq


async def halts(work: Coroutine[Any, Any, None], seq: int) -> None:
    """It ends by itself, and says where."""
    with pytest.raises((ValueError, ExceptionGroup)) as raised:
        await asyncio.wait_for(work, 20)
    error = raised.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ValueError)
    assert f"at sequence {seq}" in str(error)
    assert "upgrade" in str(error)


@pytest.mark.parametrize(("event", "type_name"), UNREADABLE)
async def test_no_fold_goes_past_it(
    js_connection: Client, tmp_path: Path, event: str, type_name: str
) -> None:
    async with ProjectionHarness(js_connection) as harness:
        await harness.register()
        first = await harness.dispatch()
        last = await harness.log.reader.last_seq()
    reader = harness.log.reader
    seq = await append(js_connection, new_id(), event, type_name)
    assert seq == last + 1

    locks = harness.projector()
    await halts(locks.run(), seq)
    assert locks.table.seq == last
    assert locks.table.waiter(first, 1) is not None
    assert await harness.names() == []
    view = FoldedLockView(reader, MemorySnapshots())
    await halts(view.run(), seq)
    assert view.seq == last
    engine = open_database(f"sqlite:///{tmp_path / 'model.db'}")
    await create_tables(engine)
    model = SqlReadModel(engine)
    await halts(ReadModelProjection(reader, model).run(), seq)
    assert await model.position() <= last
    await engine.dispose()


async def test_a_queue_handles_the_others_and_keeps_it_with_its_sequence(js_connection: Client) -> None:
    impatient = QueuePolicy(most_deliveries=3, retry=Backoff(first_seconds=0.04))
    async with ProjectionHarness(js_connection) as harness:
        await harness.register()
        await harness.dispatch()
    task_id = new_id()
    seq = await append(js_connection, task_id, "dispatched", "towpath.task.dispatched.v2")
    handled: list[int] = []

    async def handle(event: Recorded) -> None:
        handled.append(event.seq)

    dead = JetStreamDeadLetters(js_connection)
    queue = JetStreamEventQueue(js_connection, dead, "dispatch", ACTED_ON, impatient)
    taking = asyncio.create_task(queue.consume(handle))
    try:
        (letter,) = await eventually(lambda: dead.page(0, 10))
        assert (letter.kind, letter.subject_id, letter.source_seq) == ("dispatch", task_id, seq)
        assert "upgrade" in letter.detail
        assert handled == [3]
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
