"""The watchdog on a real server: runners that fall silent, come back, forget, or never said a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from nats.aio.client import Client

from adapters.queues.work_queue import QueuePolicy
from domain.log.filter import EventFilter
from domain.ports.queues import Due
from domain.protocol import Heartbeat, Held, Report
from domain.runners.liveness import LeaseTerms
from projections.attempt_timer import parse_note
from tests.integration.projections.dispatching import DispatchStage, dispatch_stage
from tests.support.nats import api
from tests.support.waiting import eventually

ENDED = ("failed", "runner-lost")


@pytest.fixture
async def stage(js_connection: Client) -> AsyncIterator[DispatchStage]:
    """Runners are lost after a second and a half."""
    async with dispatch_stage(js_connection) as running:
        running.terms = LeaseTerms(timedelta(seconds=1), timedelta(seconds=0.5))
        yield running


class Beating:
    """Runner `r1` as its heartbeats show it."""

    def __init__(self, stage: DispatchStage, instance: str | None = None) -> None:
        self._stage = stage
        self._instance = instance
        self.held: list[str] = []
        self._counter = 0

    async def once(self) -> None:
        self._counter += 1
        await self._stage.heartbeats.publish(
            Heartbeat(
                runner_id="r1",
                instance=self._instance,
                pools=["default"],
                host="h",
                capacity=1,
                counter=self._counter,
                held=[Held(task_id=task_id, attempt=1) for task_id in self.held],
            )
        )

    async def on(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(0.1)


async def taken(stage: DispatchStage, status: str = "running", *paths: str) -> str:
    """A task in `acme` that runner r1 has."""
    task_id = await stage.dispatch(*paths)
    await eventually(lambda: stage.status_is(task_id, "dispatched", granted=True))
    await stage.report(task_id, status)
    return task_id


async def looked(stage: DispatchStage, times: int = 1, before: int | None = None) -> None:
    """Wait until watchdogs have settled so many more timers than now, or than `before`."""
    before = await _settled(stage) if before is None else before

    async def enough() -> bool:
        return await _settled(stage) >= before + times

    await eventually(enough)


async def _settled(stage: DispatchStage) -> int:
    info = await api(stage.connection, "CONSUMER.INFO.TOWPATH_TIMER.due-attempt")
    return int(info.get("ack_floor", {}).get("consumer_seq", 0))


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_what_a_silent_runner_had_fails_and_its_lock_comes_home(
    stage: DispatchStage, status: str
) -> None:
    stage.start()
    runner = Beating(stage)
    await runner.once()
    task_id = await taken(stage, status)
    waiter = await stage.dispatch()
    await eventually(lambda: stage.status_is(task_id, *ENDED))
    task = (await stage.commands.read(task_id)).task
    ((_, last),) = await stage.heartbeats.all()
    assert task.finished_at is not None
    assert task.finished_at - last >= stage.terms.lost_after
    assert "r1" in (task.message or "")
    await stage.until(("granted", task_id), ("released", task_id), ("granted", waiter))


async def test_a_runner_that_beats_and_lists_it_keeps_it(stage: DispatchStage) -> None:
    stage.start()
    runner = Beating(stage)
    beating = stage.run(runner.on())
    task_id = await taken(stage)
    runner.held = [task_id]
    await looked(stage, 3)
    assert (await stage.status(task_id))[0] == "running"
    await stage.stop(beating)
    await eventually(lambda: stage.status_is(task_id, *ENDED))
    assert await stage.armed() == []


async def test_what_a_living_runner_no_longer_lists_is_lost(stage: DispatchStage) -> None:
    stage.start()
    runner = Beating(stage)
    stage.run(runner.on())
    kept = await taken(stage, "running", "a")
    forgotten = await taken(stage, "running", "b")
    runner.held = [kept, forgotten]
    await looked(stage, 2)
    runner.held = [kept]
    await eventually(lambda: stage.status_is(forgotten, *ENDED))
    assert "does not list" in ((await stage.commands.read(forgotten)).task.message or "")
    assert (await stage.status(kept))[0] == "running"


async def test_who_never_sent_a_heartbeat_is_left_alone_until_it_does(stage: DispatchStage) -> None:
    stage.start()
    task_id = await taken(stage)
    await looked(stage)
    assert (await stage.status(task_id))[0] == "running"
    await Beating(stage).once()
    await eventually(lambda: stage.status_is(task_id, *ENDED), 20)


async def test_an_attempt_that_was_taken_before_it_was_sent_is_watched_too(stage: DispatchStage) -> None:
    projector = stage.run(stage.projector().run())
    await Beating(stage).once()
    task_id = await stage.dispatch()
    await stage.until(("granted", task_id))
    await stage.report(task_id, "running")
    stage.run(stage.dispatcher().run(stage.queue()))
    stage.run(stage.due().consume(stage.watchdog().handle))
    await eventually(lambda: stage.status_is(task_id, *ENDED))
    await stage.stop(projector)


async def test_a_cancel_that_the_lost_runner_cannot_confirm_is_confirmed(stage: DispatchStage) -> None:
    stage.start()
    await Beating(stage).once()
    task_id = await taken(stage)
    await stage.commands.cancel(task_id, None, "operator:ann")
    await eventually(lambda: stage.status_is(task_id, "canceled", "runner-lost"))
    await stage.until(("granted", task_id), ("released", task_id))


async def test_under_hold_the_lock_stays_until_an_operator_frees_it(stage: DispatchStage) -> None:
    await stage.register(on_runner_lost="hold")
    stage.start()
    await Beating(stage).once()
    task_id = await taken(stage)
    plain = await stage.create_plain()
    await stage.report(plain, "running")
    await eventually(lambda: stage.status_is(plain, *ENDED))
    await looked(stage, 2)
    assert (await stage.status(task_id))[0] == "running"
    await stage.until(("granted", task_id))
    await stage.commands.cancel(task_id, None, "operator:ann")
    await looked(stage, 1)
    assert (await stage.status(task_id))[0] == "running"
    released = await stage.commands.release_locks(task_id, "host is off", "operator:ann")
    assert released is not None
    assert released.process_may_run
    await eventually(lambda: stage.status_is(task_id, *ENDED))
    await stage.until(("granted", task_id), ("released", task_id))
    assert await stage.armed() == []


async def test_a_policy_changed_meanwhile_counts(stage: DispatchStage) -> None:
    await stage.register(on_runner_lost="hold")
    stage.start()
    await Beating(stage).once()
    task_id = await taken(stage)
    await looked(stage, 2)
    assert (await stage.status(task_id))[0] == "running"
    await stage.register(on_runner_lost="fail")
    await eventually(lambda: stage.status_is(task_id, *ENDED))


async def test_an_older_attempts_timer_touches_nothing_of_the_next(stage: DispatchStage) -> None:
    stage.start()
    await Beating(stage).once()
    task_id = await taken(stage)
    await stage.report(task_id, "failed")
    await stage.commands.dispatch(task_id, "operator:ann")
    await eventually(lambda: stage.status_is(task_id, "dispatched", granted=True))
    await looked(stage, 2, before=0)  # each attempt's timer, however long this has taken
    assert (await stage.commands.read(task_id)).task.attempt == 2
    assert (await stage.status(task_id))[0] == "dispatched"


async def test_another_watchdog_takes_over_from_one_that_dies_in_between(stage: DispatchStage) -> None:
    stage.policy = QueuePolicy(ack_wait_seconds=1.0, progress_seconds=0.3)
    stuck: list[Due] = []

    async def hang(due: Due) -> None:
        stuck.append(due)
        await asyncio.Event().wait()

    stage.run(stage.projector().run())
    stage.run(stage.dispatcher().run(stage.queue()))
    crashing = stage.run(stage.due().consume(hang))
    await Beating(stage).once()
    task_id = await taken(stage)
    await eventually(lambda: stuck)
    assert parse_note(stuck[0].note).submit_by is not None
    await stage.stop(crashing)
    for _ in range(2):
        stage.run(stage.due().consume(stage.watchdog().handle))
    await eventually(lambda: stage.status_is(task_id, *ENDED))
    names = [event.event for event in await stage.world.reader.page(0, 100, EventFilter("task", task_id))]
    assert names.count("failed") == 1


async def test_two_runners_with_one_id_end_nothing_of_each_other(stage: DispatchStage) -> None:
    stage.start()
    runners = {name: Beating(stage, name) for name in ("one", "two")}
    beating = {name: stage.run(runner.on()) for name, runner in runners.items()}
    for name in runners:
        task_id = await stage.dispatch(name)
        await eventually(lambda task_id=task_id: stage.status_is(task_id, "dispatched", granted=True))
        report = Report(status="running", attempt=1, runner_id="r1", instance=name)
        await stage.reports.report(task_id, report, None, "nats", "runner:r1")
        runners[name].held = [task_id]
    tasks = [runner.held[0] for runner in runners.values()]
    await looked(stage, 6)
    assert [await stage.status(task_id) for task_id in tasks] == [("running", None)] * 2

    await stage.stop(beating["one"])
    await eventually(lambda: stage.status_is(tasks[0], *ENDED))
    assert await stage.status(tasks[1]) == ("running", None)
    await stage.stop(beating["two"])
    await eventually(lambda: stage.status_is(tasks[1], *ENDED))
