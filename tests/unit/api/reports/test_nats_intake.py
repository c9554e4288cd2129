"""Reports over NATS are settled one task's in order, different tasks beside each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from api.reports.nats_intake import ReportIntake
from domain.errors import Busy
from domain.ports.queues import QueuedReport, ReportQueue
from tests.unit.api.api_harness import ApiHarness, new_id
from tests.unit.api.reports.test_settlement import Failing, message

UNREAD = cast(ReportQueue, None)
"""The queue of an intake that is handed its reports by the test."""


async def handled(intake: ReportIntake, reports: list[QueuedReport]) -> list[float | None]:
    """What each handler answers, all begun in this order."""
    return await asyncio.gather(*(intake.handle(one) for one in reports))


async def test_reports_are_settled_one_by_one_and_a_task_in_order(harness: ApiHarness) -> None:
    first, second = await harness.dispatched(), await harness.dispatched()
    statuses = ("queued", "running", "succeeded")
    reports = [message(task["id"], {"status": status}) for status in statuses for task in (first, second)]
    reports.insert(2, message(first["id"], b"nonsense"))
    assert await handled(ReportIntake(harness.parts, UNREAD), reports) == [None] * 7
    for task in (first, second):
        mine = [one.event for one in harness.log.events if one.subject_id == task["id"]]
        assert mine == ["created", "dispatched", *statuses]
    assert [kept[3] for kept in harness.dead.kept] == ["invalid-report"]


async def test_a_report_waits_for_the_one_before_it_and_other_tasks_do_not(harness: ApiHarness) -> None:
    gate, begun = asyncio.Event(), list[str]()

    class Slow:
        async def report(self, task_id: str, *_: Any) -> Any:
            begun.append(task_id)
            await gate.wait()
            raise Busy("busy", "later")

    intake = ReportIntake(replace(harness.parts, reports=Slow()), UNREAD)
    one, other = new_id(), new_id()
    working = asyncio.create_task(handled(intake, [message(one), message(one), message(other)]))
    while len(begun) < 2:
        await asyncio.sleep(0)
    assert begun == [one, other]
    gate.set()
    assert await working == [0.2, 0.4, 0.2]
    assert begun == [one, other]


async def test_what_follows_a_report_that_comes_again_waits_behind_it(harness: ApiHarness) -> None:
    intake = ReportIntake(replace(harness.parts, reports=Failing(Busy("busy", "later"))), UNREAD)
    task_id = new_id()
    reports = [message(task_id, {"status": status}) for status in ("running", "running", "succeeded")]
    assert await handled(intake, reports) == [0.2, 0.4, 0.4]
    assert await handled(intake, reports[:1]) == [0.2], "the next one begins anew"
