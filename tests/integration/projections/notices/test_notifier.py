"""The notifier on a real log, with a real state and real receivers: what is told, to whom, and how often."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from adapters.notices.history import SqlNoticeHistory
from adapters.notices.store import SqlNoticeState
from domain.identifiers import LogSeq, RunnerId
from domain.log.position import Position
from domain.notices.rules import Rule, Rules
from domain.notices.schedule import Timing
from domain.notices.watches import Watch, Watches
from domain.ports.notices import NoticeFilter
from domain.protocol import Heartbeat, Held
from infra.nats.embedded_server import EmbeddedNats
from projections.lock_view import FoldedLockView
from projections.notices.notifier import Notifier
from projections.notices.observer import Observer
from projections.notices.teller import Teller
from projections.notices.work import Work
from tests.integration.projections.harness import ProjectionHarness
from tests.integration.projections.notices.dying_notifier import STEPS
from tests.integration.projections.notices.harness import (
    TERMS,
    NotifierParts,
    open_state_database,
    rule,
    sqlite_url,
)
from tests.support.http.webhook_receiver import Receiver, answer, receiving
from tests.support.messages import new_id, now
from tests.support.repository import REPO
from tests.support.waiting import eventually

DEADLINE = 60.0


class NoticeHarness(ProjectionHarness):
    """A control plane with two receivers, `ops` and `log`, and the notifier's state."""

    parts: NotifierParts
    ops: Receiver
    log_receiver: Receiver
    state: SqlNoticeState
    nats_url: str
    database_url: str
    stack: AsyncExitStack
    notifiers: list[tuple[Notifier, asyncio.Task[None]]]

    @property
    def history(self) -> SqlNoticeHistory:
        """What people see of the state."""
        return SqlNoticeHistory(self.state._engine)

    async def work(self, *rules: Rule, state: SqlNoticeState | None = None, **options: float) -> Notifier:
        """Run a notifier, and wait until it follows the log."""
        state = state or self.state
        notifier = self.start(self.parts.notifier(state, rules, **options))
        await eventually(lambda: self.works(state), DEADLINE)
        return notifier

    def start(self, notifier: Notifier) -> Notifier:
        """Run a notifier to the end of the test."""
        self.notifiers.append((notifier, self.run(notifier.run())))
        return notifier

    async def close_notifiers(self) -> None:
        """End them in order, as their process would."""
        for notifier, _ in self.notifiers:
            notifier.close()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(task for _, task in self.notifiers))

    @staticmethod
    async def works(state: SqlNoticeState) -> bool:
        """Whether this notifier works, and has begun."""
        first = await state.standing()
        if first.owner != state.owner:
            return False

        async def beats() -> bool:
            return await state.standing() != first

        await eventually(beats, DEADLINE)
        return True

    async def other_state(self, owner: str) -> SqlNoticeState:
        """The state as another notifier sees it."""
        engine = await open_state_database(self.database_url)
        self.stack.push_async_callback(engine.dispose)
        return SqlNoticeState(engine, owner)

    async def fail(self, **spec: Any) -> str:
        """A task that fails."""
        task_id = await self.dispatch(new_id(), **spec)
        await self.granted(task_id)
        await self.report(task_id, "running")
        await self.report(task_id, "failed")
        return task_id

    async def granted(self, task_id: str) -> None:
        """Wait until the task holds its lock."""

        async def held() -> bool:
            read = await self.log.tasks.load(task_id)
            return read is not None and self.view.lock_of(read.task).state == "held"

        await eventually(held, DEADLINE)


@pytest.fixture
async def notices(
    js_connection: Client, nats_server: EmbeddedNats, tmp_path: Path
) -> AsyncIterator[NoticeHarness]:
    """With workspace `acme`, and a lock projection."""
    async with AsyncExitStack() as stack:
        ops = await stack.enter_async_context(receiving())
        log = await stack.enter_async_context(receiving())
        running = NoticeHarness(js_connection)
        running.ops, running.log_receiver = ops, log
        running.nats_url, running.database_url = nats_server.control_url, sqlite_url(tmp_path)
        running.stack, running.notifiers = stack, []
        running.state = await running.other_state("one")
        running.parts = NotifierParts(
            js_connection, running.log, running.view, {"ops": ops.url, "log": log.url}
        )
        stack.push_async_callback(running.parts.close)
        await stack.enter_async_context(running)
        await running.register()
        running.run(running.projector().run())
        yield running
        await running.close_notifiers()


async def told(receiver: Receiver, *names: str) -> None:
    """Wait until exactly these were told, in this order."""

    def all_told() -> None:
        assert receiver.names() == list(names)

    await eventually(lambda: all_told() or True, DEADLINE)


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


async def test_a_lock_wait_is_told_when_it_lasts_and_when_it_ends(notices: NoticeHarness) -> None:
    await notices.work(rule("lock-waits-over 0.2s", "recovered"))
    first = await notices.dispatch("src", title="build")
    await notices.granted(first)
    second = await notices.dispatch("src", title="deploy")
    await told(notices.ops, "lock-waits-over 0.2s")
    notice = notices.ops.received[0].notice
    assert notice["task"]["id"] == second
    assert f"build ({first})" in notice["why"]
    await notices.report(first, "running")
    await notices.report(first, "succeeded")
    await told(notices.ops, "lock-waits-over 0.2s", "recovered")
    assert notices.ops.received[1].event["data"]["began"] == "lock-waits-over 0.2s"


async def test_a_long_run_is_told_while_it_runs(notices: NoticeHarness) -> None:
    await notices.work(rule("runs-over 0.2s", "recovered"), rule("succeeded", "released", channel="log"))
    task_id = await notices.dispatch("src")
    await notices.granted(task_id)
    await notices.report(task_id, "running")
    await told(notices.ops, "runs-over 0.2s")
    await notices.report(task_id, "succeeded")
    await told(notices.ops, "runs-over 0.2s", "recovered")
    await told(notices.log_receiver, "succeeded", "released")
    assert all("succeeded at" in one.notice["why"] for one in notices.log_receiver.received)


async def beat(notices: NoticeHarness, counter: int, *held: str) -> None:
    """A heartbeat of runner r1."""
    beat = Heartbeat(
        runner_id="r1",
        pools=["default"],
        host="h",
        capacity=1,
        counter=counter,
        held=[Held(task_id=task_id, attempt=1) for task_id in held],
    )
    await notices.parts.heartbeats.publish(beat)


async def test_a_silent_runner_is_told_and_its_return(notices: NoticeHarness) -> None:
    await notices.register("zoo", on_runner_lost="hold")
    kept = await notices.dispatch("src", workspace="zoo", title="feed")
    await notices.granted(kept)
    await beat(notices, 1, kept)
    await notices.report(kept, "running")
    await notices.work(
        rule("runner-lost", "recovered"),
        rule("runner-lost", channel="log", workspace="acme"),
        rule("awaiting-operator", "recovered", channel="log"),
    )
    await told(notices.ops, "runner-lost")
    assert notices.ops.received[0].notice["runner_id"] == "r1"
    await told(notices.log_receiver, "awaiting-operator")
    assert f"towpath release {kept}" in notices.log_receiver.received[0].notice["text"]
    counter = 1

    async def back() -> bool:
        nonlocal counter
        counter += 1
        await beat(notices, counter, kept)
        return notices.ops.names() == ["runner-lost", "recovered"]

    await eventually(back, DEADLINE)
    await told(notices.log_receiver, "awaiting-operator", "recovered", "awaiting-operator")


async def test_kept_locks_are_not_judged_by_a_view_that_is_behind(notices: NoticeHarness) -> None:
    task_id = await notices.dispatch("src")
    await notices.granted(task_id)
    rules = Rules([rule("awaiting-operator", "recovered")])
    watches = Watches(rules.triggers)
    watches.kept({(task_id, 1): RunnerId("r1")}, now())
    for watch in watches.due(now()):
        watches.told(watch, ["ops"])
    stopped = FoldedLockView(notices.log.reader, notices.view._snapshots)
    for view, ended in ((stopped, 0), (notices.view, 1)):
        teller = Teller(rules, notices.log.reader, notices.log.new_store(), view, None)
        observer = Observer(notices.parts.heartbeats, view, notices.parts.letters, TERMS)
        observer.begin(await notices.log.reader.last_seq())

        async def judged(observer: Observer = observer, teller: Teller = teller, ended: int = ended) -> bool:
            return len(await observer.runners(teller, watches, now())) == ended

        await eventually(judged, DEADLINE)
    assert not watches.open


async def test_what_is_due_is_told_though_the_log_never_stands_still(notices: NoticeHarness) -> None:
    task_id = await notices.dispatch("src")
    await notices.granted(task_id)
    rules = Rules([rule("runs-over 0.2s")])
    teller = Teller(rules, notices.log.reader, notices.log.new_store(), notices.view, None)
    observer = Observer(notices.parts.heartbeats, notices.view, notices.parts.letters, TERMS)
    work = Work(notices.log.reader, notices.state, teller, observer, {}, now)
    work._watches = Watches(rules.triggers)
    work._watches.add(Watch(*rules.triggers, now() - timedelta(seconds=9), "e1", task_id, 1))
    end = await notices.log.reader.last_seq()
    assert await work._surely_begun(now()) == []
    await notices.fail()  # the log is longer now than it was at the first look
    work._position = Position(LogSeq(end))
    assert [watch.task_id for watch in await work._surely_begun(now())] == [task_id]


async def test_a_dead_letter_is_told(notices: NoticeHarness) -> None:
    await notices.parts.letters.keep("report", "old", b"{}", "ended", "it came too late")
    await notices.work(rule("dead-letter"))
    await notices.parts.letters.keep("report", "new", b"{}", "ended", "it came too late")
    await told(notices.ops, "dead-letter")
    assert "report of new: ended" in notices.ops.received[0].notice["text"]


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
