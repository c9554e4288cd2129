"""A wait for a lock has an end: the attempt is canceled, and who stood behind it moves up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from domain.log.filter import EventFilter
from domain.ports.queues import Due
from projections import lock_waits
from tests.integration.projections.dispatching import DispatchHarness, dispatch_harness
from tests.support.messages import now
from tests.support.waiting import eventually

LONG = 3600.0


def due(task_id: str) -> Due:
    """The deadline of attempt 1, come due now."""
    return Due(lock_waits.deadline(task_id, 1), now())


@pytest.fixture
async def harness(js_connection: Client) -> AsyncIterator[DispatchHarness]:
    async with dispatch_harness(js_connection) as running:
        yield running


async def test_who_waits_too_long_is_canceled_and_the_next_moves_up(harness: DispatchHarness) -> None:
    harness.start()
    holder = await harness.dispatch("src")
    await harness.until(("granted", holder))
    impatient = await harness.dispatch("src", "docs", lock_wait_seconds=0.5)
    behind = await harness.dispatch("docs")
    await eventually(lambda: _is(harness, impatient, "canceled", "lock-wait-timeout"))
    await harness.until(("granted", holder), ("granted", behind))
    task = (await harness.commands.read(impatient)).task
    assert "towpath locks acme" in (task.message or "")
    (canceled,) = await harness.log.reader.page(0, 10, EventFilter("task", impatient, "canceled"))
    assert (canceled.actor, canceled.attempt) == ("lock-wait", 1)
    assert (await harness.status(holder))[0] == "dispatched"
    await eventually(lambda: _unarmed(harness, impatient))


async def test_the_next_attempt_waits_anew(harness: DispatchHarness) -> None:
    harness.start()
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    task_id = await harness.dispatch(lock_wait_seconds=LONG)
    await harness.lock_waits().handle(due(task_id))
    assert await harness.status(task_id) == ("canceled", "lock-wait-timeout")
    await harness.commands.dispatch(task_id, "operator:ann")
    await eventually(lambda: _armed(harness, task_id, 2))
    await harness.lock_waits().handle(due(task_id))
    await eventually(lambda: _waits(harness, task_id, 2))
    await harness.report(holder)
    await harness.until(("granted", holder), ("released", holder), ("granted", task_id))


async def test_once_granted_the_deadline_does_nothing(harness: DispatchHarness) -> None:
    harness.start()
    task_id = await harness.dispatch(lock_wait_seconds=LONG)
    await harness.until(("granted", task_id))
    await harness.lock_waits().handle(due(task_id))
    assert await harness.status(task_id) == ("dispatched", None)


async def test_a_grant_far_behind_in_a_busy_workspace_is_found(
    harness: DispatchHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_waits, "PAGE", 2)
    harness.run(harness.projector().run())
    holder = await harness.dispatch("src")
    late = await harness.dispatch("src", lock_wait_seconds=LONG)
    for number in range(5):
        await harness.dispatch(f"other{number}")
    await harness.report(holder)
    await eventually(lambda: _granted(harness, late))
    await harness.lock_waits().handle(due(late))
    assert await harness.status(late) == ("dispatched", None)


async def test_a_grant_that_crosses_is_void_and_given_back_first(harness: DispatchHarness) -> None:
    """The projector has not seen the cancel when it grants: the table releases before anything else."""
    task_id = await harness.dispatch(lock_wait_seconds=LONG)
    behind = await harness.dispatch()
    projector = harness.projector()
    lagging = await harness.log.reader.page(0, 100)
    projector.fold(lagging)
    crossing = projector.table.decide("acme")
    assert crossing is not None
    await harness.lock_waits().handle(due(task_id))
    assert await harness.status(task_id) == ("canceled", "lock-wait-timeout")
    await harness.log.locks.append_lock(crossing, at=lagging[-1].at, actor="lock-projection")
    harness.start()
    await harness.until(("granted", task_id), ("released", task_id), ("granted", behind))
    sent = await eventually(harness.submissions)
    assert [one["task_id"] for one in sent] == [behind], "a void grant starts nothing"


async def test_no_deadline_where_none_was_asked_for(harness: DispatchHarness) -> None:
    harness.run(harness.dispatcher().run(harness.queue()))
    await harness.dispatch("a")
    bounded = await harness.dispatch("b", lock_wait_seconds=LONG)
    await eventually(lambda: _armed(harness, bounded))
    assert await harness.armed() == [f"towpath.timer.at.lock-wait.{bounded}.1"]


async def test_a_crash_before_it_is_armed_arms_it_later(harness: DispatchHarness) -> None:
    """`dispatched` stands in the log and nobody has acted on it: the next dispatcher does, late or not."""
    projector = harness.run(harness.projector().run())
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    late = await harness.dispatch(lock_wait_seconds=0.05)
    await harness.stop(projector)
    harness.start()
    await eventually(lambda: _is(harness, late, "canceled", "lock-wait-timeout"))


async def test_due_twice_at_once_cancels_once(harness: DispatchHarness) -> None:
    harness.run(harness.projector().run())
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    task_id = await harness.dispatch(lock_wait_seconds=LONG)
    await asyncio.gather(*(harness.lock_waits().handle(due(task_id)) for _ in range(4)))
    assert len(await harness.log.reader.page(0, 10, EventFilter("task", task_id, "canceled"))) == 1


async def _is(harness: DispatchHarness, task_id: str, status: str, reason: str) -> bool:
    return await harness.status(task_id) == (status, reason)


async def _waits(harness: DispatchHarness, task_id: str, attempt: int) -> bool:
    task = (await harness.commands.read(task_id)).task
    return task.attempt == attempt and harness.view.lock_of(task).state == "waiting"


async def _granted(harness: DispatchHarness, task_id: str) -> bool:
    return ("granted", task_id) in await harness.names()


async def _armed(harness: DispatchHarness, task_id: str, attempt: int = 1) -> bool:
    return f"towpath.timer.at.lock-wait.{task_id}.{attempt}" in await harness.armed()


async def _unarmed(harness: DispatchHarness, task_id: str) -> bool:
    return not await _armed(harness, task_id)
