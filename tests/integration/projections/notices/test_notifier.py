"""The notifier on a real log, with a real state and real receivers: what is told, to whom, and how often."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from domain.notices.schedule import Timing
from domain.ports.notices import NoticeFilter
from tests.integration.projections.notices.conftest import DEADLINE, NoticeHarness, told
from tests.integration.projections.notices.dying_notifier import STEPS
from tests.integration.projections.notices.harness import (
    rule,
)
from tests.support.http.webhook_receiver import Receiver, answer
from tests.support.messages import now
from tests.support.repository import REPO
from tests.support.waiting import eventually


async def test_a_failure_is_told_once_with_all_that_matters(notices: NoticeHarness) -> None:
    before = await notices.fail(title="earlier")
    await notices.work(rule("failed", "asked"))
    task_id = await notices.fail(title="deploy shop", labels={"team": "web"})
    await told(notices.ops, "failed")
    (got,) = notices.ops.received
    assert got.event["type"] == "towpath.task.failed.v1"
    assert got.event["subject"] == task_id != before
    assert got.id == got.event["id"]
    assert got.notice["text"].startswith("failed: deploy shop (acme, r1, after ")
    assert "failed at" in got.notice["why"]
    assert got.notice["task"]["labels"] == {"team": "web"}
    assert got.notice["links"]["console"] == f"https://towpath.example/console/tasks/{task_id}"
    assert notices.log_receiver.received == []


async def test_rules_choose_by_event_and_task(notices: NoticeHarness) -> None:
    await notices.work(
        rule("failed", title="deploy*"),
        rule("failed", "created", label=("team", "web")),
        rule("failed", channel="log", workspace="acme"),
        rule("failed", channel="log", workspace="other"),
    )
    await notices.fail(title="test")
    await notices.fail(title="deploy", labels={"team": "web"})
    await told(notices.log_receiver, "failed", "failed")
    await told(notices.ops, "created", "failed")


async def test_a_burst_is_one_digest_that_counts_all(notices: NoticeHarness) -> None:
    notices.parts.timings["ops"] = Timing(digest=timedelta(seconds=3))
    rules = (rule("failed"), rule("failed", channel="log"))
    await notices.work(*rules)
    await notices.close_notifiers()
    for number in range(12):
        await notices.fail(title=f"task {number}")
    await notices.work(*rules)  # which reads them all at once
    await told(notices.log_receiver, *["failed"] * 12)

    def counted() -> int:
        return sum(one.event["data"].get("count", 1) for one in notices.ops.received)

    await eventually(lambda: counted() == 12, DEADLINE)
    assert len(notices.ops.received) < 12


async def test_a_channel_that_is_down_delays_only_itself(notices: NoticeHarness) -> None:
    notices.ops.answers = lambda _: answer(503)
    await notices.work(rule("failed"), rule("failed", channel="log"))
    await notices.fail()
    await notices.fail()
    await told(notices.log_receiver, "failed", "failed")
    await eventually(lambda: len(notices.ops.received) > 2, DEADLINE)
    tried = len(notices.ops.received)
    notices.ops.answers = Receiver().answers
    await eventually(lambda: len({one.id for one in notices.ops.received[tried:]}) == 2, DEADLINE)
    assert not any(one.notice["again"] for one in notices.ops.received)


async def test_what_no_try_can_send_is_kept_and_replayed(notices: NoticeHarness) -> None:
    notices.ops.answers = lambda _: answer(410)
    await notices.work(rule("failed"))
    await notices.fail()

    async def given_up() -> bool:
        return len(await notices.history.page(NoticeFilter(state="dead"), 10)) == 1

    await eventually(given_up, DEADLINE)
    assert len(notices.ops.received) == 1
    notices.ops.answers = Receiver().answers
    assert await notices.history.replay(now()) == 1
    await told(notices.ops, "failed", "failed")
    assert await notices.history.page(NoticeFilter(state="dead"), 10) == []


async def test_after_a_day_a_try_is_the_last(notices: NoticeHarness) -> None:
    notices.parts.try_for = timedelta()
    notices.ops.answers = lambda _: answer(500)
    await notices.work(rule("failed"))
    await notices.fail()

    async def given_up() -> bool:
        return [one.error for one in await notices.history.page(NoticeFilter(state="dead"), 10)] == [
            "it answers 500"
        ]

    await eventually(given_up, DEADLINE)


async def test_of_two_one_works_and_the_other_takes_over(notices: NoticeHarness) -> None:
    first = await notices.work(rule("failed"))
    other = await notices.other_state("two")
    second = notices.parts.notifier(other, [rule("failed")])
    notices.start(second)
    await notices.fail()
    await told(notices.ops, "failed")
    assert (await other.standing()).owner == "one"
    first.close()
    await eventually(lambda: notices.works(other), DEADLINE)
    await notices.fail()
    await told(notices.ops, "failed", "failed")
    assert not any(one.notice["again"] for one in notices.ops.received)


async def test_one_that_was_frozen_changes_nothing_any_more(notices: NoticeHarness) -> None:
    """A second one takes over from one that beats no more; when that goes on, it is refused and stands by."""
    await notices.work(rule("failed"))
    other = await notices.other_state("two")

    async def takes() -> bool:  # the first one may beat in between
        return await other.take(await other.standing())

    await eventually(takes, DEADLINE)
    await notices.fail()
    second = notices.parts.notifier(other, [rule("failed")])
    assert (await other.standing()).owner == "two"
    notices.start(second)
    await eventually(lambda: notices.works(other), DEADLINE)
    await told(notices.ops, "failed")


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_nothing_is_lost_and_what_comes_twice_is_marked(
    notices: NoticeHarness, step: str
) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "tests.integration.projections.notices.dying_notifier",
            notices.nats_url, notices.database_url, notices.ops.url, step,
        ],
        stdout=subprocess.PIPE, text=True, cwd=REPO,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        while (line := await asyncio.to_thread(process.stdout.readline)) != "works\n":
            assert line, "it has ended before it worked"
        task_id = await notices.fail()
        await eventually(lambda: process.poll() == -signal.SIGKILL, DEADLINE)
    finally:
        process.kill()
        process.communicate()
    reached = len(notices.ops.received)
    assert reached == (1 if step in ("answered", "settled") else 0)
    await notices.work(rule("failed"), take_over_seconds=0.5)
    last = await notices.fail()
    await eventually(
        lambda: notices.ops.received and notices.ops.received[-1].event["subject"] == last, DEADLINE
    )
    about = [one.notice["again"] for one in notices.ops.received if one.event["subject"] == task_id]
    assert about == {"marked": [True], "answered": [False, True]}.get(step, [False])
    assert not notices.ops.received[-1].notice["again"]

    async def settled() -> bool:
        return [one.sent for one in await notices.history.figures(now()) if one.channel == "ops"] == [2]

    await eventually(settled, DEADLINE)
