"""Conditions on a real log: what begins by time, what ends it, and what is not judged too early."""

from __future__ import annotations

from datetime import timedelta

from domain.identifiers import LogSeq, RunnerId
from domain.log.position import Position
from domain.notices.rules import Rules
from domain.notices.watches import Watch, Watches
from domain.protocol import Heartbeat, Held
from projections.lock_view import FoldedLockView
from projections.notices.observer import Observer
from projections.notices.teller import Teller
from projections.notices.work import Work
from tests.integration.projections.notices.conftest import DEADLINE, NoticeHarness, told
from tests.integration.projections.notices.harness import (
    TERMS,
    rule,
)
from tests.support.messages import now
from tests.support.waiting import eventually


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
