"""A question's time is over: its default is recorded once, whatever timers and people do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from domain.identifiers import TaskId
from domain.log.filter import EventFilter
from domain.ports.queues import Due
from domain.protocol import Ask, Report
from projections import question_expiry
from tests.integration.projections.dispatching import DispatchHarness, dispatch_harness
from tests.support.messages import now
from tests.support.waiting import eventually

LONG = 3600.0


@pytest.fixture
async def harness(js_connection: Client) -> AsyncIterator[DispatchHarness]:
    async with dispatch_harness(js_connection) as running:
        yield running


async def _asking(harness: DispatchHarness, seconds: float, question_id: str = "q1", **fields: Any) -> TaskId:
    """A running task whose job has asked."""
    task_id = TaskId(await harness.create_plain())
    await harness.reports.report(task_id, Report(status="running", runner_id="r1"), None, "nats", "runner:r1")
    await _ask(harness, task_id, seconds, question_id, **fields)
    return task_id


async def _ask(
    harness: DispatchHarness, task_id: TaskId, seconds: float, question_id: str, default: str | None = "no"
) -> None:
    ask = Ask(
        question_id=question_id, text="Go?", choices=["yes", "no"], expires_seconds=seconds, default=default
    )
    await harness.reports.ask(task_id, ask, 1, "job")


async def _answers(harness: DispatchHarness, task_id: TaskId) -> list[tuple[str, str, str]]:
    events = await harness.log.reader.page(0, 10, EventFilter("task", task_id, "answered"))
    return [(one.data["question_id"], one.data["choice"], one.data["cause"]) for one in events]


def _due(task_id: TaskId) -> Due:
    return Due(question_expiry.deadline(task_id, 1), now())


async def test_the_default_is_recorded_once_its_time_is_over(harness: DispatchHarness) -> None:
    harness.start()
    task_id = await _asking(harness, 0.5)
    await eventually(lambda: _is_answered(harness, task_id))
    for _ in range(2):
        await harness.question_expiry().handle(_due(task_id))
    assert await _answers(harness, task_id) == [("q1", "no", "expired")]


async def test_without_a_default_no_timer_is_armed(harness: DispatchHarness) -> None:
    harness.start()
    task_id = await _asking(harness, LONG, default=None)
    other = await _asking(harness, LONG)
    await eventually(lambda: _armed(harness, other))
    assert not await _armed(harness, task_id)
    await harness.question_expiry().handle(_due(task_id))
    assert await _answers(harness, task_id) == []


async def test_a_timer_of_an_earlier_question_leaves_the_next_one_its_time(harness: DispatchHarness) -> None:
    task_id = await _asking(harness, LONG)
    await harness.commands.answer(task_id, "q1", "yes", None, "ann")
    await _ask(harness, task_id, LONG, "q2")
    await harness.question_expiry().handle(_due(task_id))
    assert await _answers(harness, task_id) == [("q1", "yes", "person")]
    assert await _armed(harness, task_id), "it comes due again for the open question"


async def test_several_handlers_at_once_record_one_answer(harness: DispatchHarness) -> None:
    task_id = await _asking(harness, 0.001)
    await eventually(lambda: _over(harness, task_id))
    handlers = [harness.question_expiry() for _ in range(3)]
    await asyncio.gather(*(one.handle(_due(task_id)) for one in handlers))
    assert await _answers(harness, task_id) == [("q1", "no", "expired")]


async def test_an_attempt_that_has_ended_is_left_alone(harness: DispatchHarness) -> None:
    task_id = await _asking(harness, 0.001)
    await harness.reports.report(
        task_id, Report(status="succeeded", runner_id="r1"), None, "nats", "runner:r1"
    )
    await harness.question_expiry().handle(_due(task_id))
    assert await _answers(harness, task_id) == []


async def _is_answered(harness: DispatchHarness, task_id: TaskId) -> bool:
    return bool(await _answers(harness, task_id))


async def _armed(harness: DispatchHarness, task_id: TaskId) -> bool:
    return f"towpath.timer.at.question.{task_id}.1" in await harness.armed()


async def _over(harness: DispatchHarness, task_id: TaskId) -> bool:
    return (await harness.commands.read(task_id)).task.question("q1").expired(now())
