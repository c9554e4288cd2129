"""A wait for a lock has an end: the attempt is canceled, and who stood behind it moves up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from domain.log.filter import EventFilter
from domain.ports.queues import Due
from projections import lock_waits
from tests.integration.projections.dispatching import DispatchStage, dispatch_stage
from tests.support.messages import now
from tests.support.waiting import eventually

LONG = 3600.0


def due(task_id: str) -> Due:
    """The deadline of attempt 1, come due now."""
    return Due(lock_waits.deadline(task_id, 1), now())


@pytest.fixture
async def stage(js_connection: Client) -> AsyncIterator[DispatchStage]:
    async with dispatch_stage(js_connection) as running:
        yield running


async def test_who_waits_too_long_is_canceled_and_the_next_moves_up(stage: DispatchStage) -> None:
    stage.start()
    holder = await stage.dispatch("src")
    await stage.until(("granted", holder))
    impatient = await stage.dispatch("src", "docs", lock_wait_seconds=0.5)
    behind = await stage.dispatch("docs")
    await eventually(lambda: _is(stage, impatient, "canceled", "lock-wait-timeout"))
    await stage.until(("granted", holder), ("granted", behind))
    task = (await stage.commands.read(impatient)).task
    assert "towpath locks acme" in (task.message or "")
    (canceled,) = await stage.world.reader.page(0, 10, EventFilter("task", impatient, "canceled"))
    assert (canceled.actor, canceled.attempt) == ("lock-wait", 1)
    assert (await stage.status(holder))[0] == "dispatched"
    await eventually(lambda: _unarmed(stage, impatient))


async def test_the_next_attempt_waits_anew(stage: DispatchStage) -> None:
    stage.start()
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    task_id = await stage.dispatch(lock_wait_seconds=LONG)
    await stage.lock_waits().handle(due(task_id))
    assert await stage.status(task_id) == ("canceled", "lock-wait-timeout")
    await stage.commands.dispatch(task_id, "operator:ann")
    await eventually(lambda: _armed(stage, task_id, 2))
    await stage.lock_waits().handle(due(task_id))
    await eventually(lambda: _waits(stage, task_id, 2))
    await stage.report(holder)
    await stage.until(("granted", holder), ("released", holder), ("granted", task_id))


async def test_once_granted_the_deadline_does_nothing(stage: DispatchStage) -> None:
    stage.start()
    task_id = await stage.dispatch(lock_wait_seconds=LONG)
    await stage.until(("granted", task_id))
    await stage.lock_waits().handle(due(task_id))
    assert await stage.status(task_id) == ("dispatched", None)


async def test_a_grant_far_behind_in_a_busy_workspace_is_found(
    stage: DispatchStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_waits, "PAGE", 2)
    stage.run(stage.projector().run())
    holder = await stage.dispatch("src")
    late = await stage.dispatch("src", lock_wait_seconds=LONG)
    for number in range(5):
        await stage.dispatch(f"other{number}")
    await stage.report(holder)
    await eventually(lambda: _granted(stage, late))
    await stage.lock_waits().handle(due(late))
    assert await stage.status(late) == ("dispatched", None)


async def test_a_grant_that_crosses_is_void_and_given_back_first(stage: DispatchStage) -> None:
    """The projector has not seen the cancel when it grants: the table releases before anything else."""
    task_id = await stage.dispatch(lock_wait_seconds=LONG)
    behind = await stage.dispatch()
    projector = stage.projector()
    lagging = await stage.world.reader.page(0, 100)
    projector.fold(lagging)
    crossing = projector.table.decide("acme")
    assert crossing is not None
    await stage.lock_waits().handle(due(task_id))
    assert await stage.status(task_id) == ("canceled", "lock-wait-timeout")
    await stage.world.locks.append_lock(crossing, at=lagging[-1].at, actor="lock-projection")
    stage.start()
    await stage.until(("granted", task_id), ("released", task_id), ("granted", behind))
    sent = await eventually(stage.submissions)
    assert [one["task_id"] for one in sent] == [behind], "a void grant starts nothing"


async def test_no_deadline_where_none_was_asked_for(stage: DispatchStage) -> None:
    stage.run(stage.dispatcher().run(stage.queue()))
    await stage.dispatch("a")
    bounded = await stage.dispatch("b", lock_wait_seconds=LONG)
    await eventually(lambda: _armed(stage, bounded))
    assert await stage.armed() == [f"towpath.timer.at.lock-wait.{bounded}.1"]


async def test_a_crash_before_it_is_armed_arms_it_later(stage: DispatchStage) -> None:
    """`dispatched` stands in the log and nobody has acted on it: the next dispatcher does, late or not."""
    projector = stage.run(stage.projector().run())
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    late = await stage.dispatch(lock_wait_seconds=0.05)
    await stage.stop(projector)
    stage.start()
    await eventually(lambda: _is(stage, late, "canceled", "lock-wait-timeout"))


async def test_due_twice_at_once_cancels_once(stage: DispatchStage) -> None:
    stage.run(stage.projector().run())
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    task_id = await stage.dispatch(lock_wait_seconds=LONG)
    await asyncio.gather(*(stage.lock_waits().handle(due(task_id)) for _ in range(4)))
    assert len(await stage.world.reader.page(0, 10, EventFilter("task", task_id, "canceled"))) == 1


async def _is(stage: DispatchStage, task_id: str, status: str, reason: str) -> bool:
    return await stage.status(task_id) == (status, reason)


async def _waits(stage: DispatchStage, task_id: str, attempt: int) -> bool:
    task = (await stage.commands.read(task_id)).task
    return task.attempt == attempt and stage.view.lock_of(task).state == "waiting"


async def _granted(stage: DispatchStage, task_id: str) -> bool:
    return ("granted", task_id) in await stage.names()


async def _armed(stage: DispatchStage, task_id: str, attempt: int = 1) -> bool:
    return f"towpath.timer.at.lock-wait.{task_id}.{attempt}" in await stage.armed()


async def _unarmed(stage: DispatchStage, task_id: str) -> bool:
    return not await _armed(stage, task_id)
