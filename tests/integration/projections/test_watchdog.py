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
from domain.runners.runner_key import runner_id_of
from projections.attempt_timer import parse_note
from tests.integration.projections.dispatching import DispatchHarness, dispatch_harness
from tests.support.nats import api
from tests.support.waiting import eventually

ENDED = ("failed", "runner-lost")


@pytest.fixture
async def harness(js_connection: Client) -> AsyncIterator[DispatchHarness]:
    """Runners are lost after a second and a half."""
    async with dispatch_harness(js_connection) as running:
        running.terms = LeaseTerms(timedelta(seconds=1), timedelta(seconds=0.5))
        yield running


class Beating:
    """A runner as its heartbeats show it."""

    def __init__(self, harness: DispatchHarness, instance: str | None = None, name: str = "r1") -> None:
        self._stage = harness
        self._instance = instance
        self._name = name
        self.held: list[str] = []
        self._counter = 0

    async def once(self) -> None:
        self._counter += 1
        await self._stage.heartbeats.publish(
            Heartbeat(
                runner_id=self._name,
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


async def taken(harness: DispatchHarness, status: str = "running", *paths: str) -> str:
    """A task in `acme` that runner r1 has."""
    task_id = await harness.dispatch(*paths)
    await eventually(lambda: harness.status_is(task_id, "dispatched", granted=True))
    await harness.report(task_id, status)
    return task_id


async def looked(harness: DispatchHarness, times: int = 1, before: int | None = None) -> None:
    """Wait until watchdogs have settled so many more timers than now, or than `before`."""
    before = await _settled(harness) if before is None else before

    async def enough() -> bool:
        return await _settled(harness) >= before + times

    await eventually(enough)


async def _settled(harness: DispatchHarness) -> int:
    info = await api(harness.connection, "CONSUMER.INFO.TOWPATH_TIMER.due-attempt")
    return int(info.get("ack_floor", {}).get("consumer_seq", 0))


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_what_a_silent_runner_had_fails_and_its_lock_comes_home(
    harness: DispatchHarness, status: str
) -> None:
    harness.start()
    runner = Beating(harness)
    await runner.once()
    task_id = await taken(harness, status)
    waiter = await harness.dispatch()
    await eventually(lambda: harness.status_is(task_id, *ENDED))
    task = (await harness.commands.read(task_id)).task
    ((_, last),) = await harness.heartbeats.all()
    assert task.finished_at is not None
    assert task.finished_at - last >= harness.terms.lost_after
    assert "r1" in (task.message or "")
    await harness.until(("granted", task_id), ("released", task_id), ("granted", waiter))


async def test_a_lost_lock_is_listed_no_more_and_a_lost_runner_is(harness: DispatchHarness) -> None:
    harness.start()
    key = runner_id_of("vm", "key.secret")
    await Beating(harness).once()
    killed = Beating(harness, name=key)
    task_id = await harness.dispatch(pool=key)
    await eventually(lambda: harness.status_is(task_id, "dispatched", granted=True))
    killed.held = [task_id]
    await killed.once()
    await harness.report(task_id, "running", runner_id=key)
    await eventually(lambda: harness.status_is(task_id, *ENDED))

    async def only_the_other_is_listed() -> bool:
        return [beat.runner_id for beat, _ in await harness.heartbeats.all()] == ["r1"]

    await eventually(only_the_other_is_listed)


@pytest.mark.parametrize("end", ["canceled", "lock wait over", "granted, and not taken"])
async def test_a_lock_killed_while_it_waits_is_listed_no_more(harness: DispatchHarness, end: str) -> None:
    """It has taken nothing, so no attempt of its own leads to it; a living one is not forgotten."""
    harness.deadline_seconds = 0.5
    harness.start()
    holder, living = await taken(harness), runner_id_of("vm", "key.living")
    keeper = Beating(harness)
    keeper.held = [holder]
    harness.run(keeper.on())
    harness.run(Beating(harness, name=living).on())
    key = runner_id_of("vm", "key.killed")
    await Beating(harness, name=key).once()
    seconds = {"lock_wait_seconds": 0.2} if end == "lock wait over" else {}
    killed = await harness.dispatch(pool=key, **seconds)
    alive = await harness.dispatch(pool=living)
    if end == "granted, and not taken":
        await harness.report(holder, "succeeded")
        await eventually(lambda: harness.status_is(killed, "submit-failed", "deadline"))
    elif end == "canceled":
        await harness.commands.cancel(killed, None, "operator:ann")
    await harness.commands.cancel(alive, None, "operator:ann")

    async def only_the_killed_is_gone() -> bool:
        return {beat.runner_id for beat, _ in await harness.heartbeats.all()} == {"r1", living}

    await eventually(only_the_killed_is_gone)


async def test_a_runner_that_beats_and_lists_it_keeps_it(harness: DispatchHarness) -> None:
    harness.start()
    runner = Beating(harness)
    beating = harness.run(runner.on())
    task_id = await taken(harness)
    runner.held = [task_id]
    await looked(harness, 3)
    assert (await harness.status(task_id))[0] == "running"
    await harness.stop(beating)
    await eventually(lambda: harness.status_is(task_id, *ENDED))
    assert await harness.armed() == []


async def test_what_a_living_runner_no_longer_lists_is_lost(harness: DispatchHarness) -> None:
    harness.start()
    runner = Beating(harness)
    harness.run(runner.on())
    kept = await taken(harness, "running", "a")
    forgotten = await taken(harness, "running", "b")
    runner.held = [kept, forgotten]
    await looked(harness, 2)
    runner.held = [kept]
    await eventually(lambda: harness.status_is(forgotten, *ENDED))
    assert "does not list" in ((await harness.commands.read(forgotten)).task.message or "")
    assert (await harness.status(kept))[0] == "running"


async def test_who_never_sent_a_heartbeat_is_left_alone_until_it_does(harness: DispatchHarness) -> None:
    harness.start()
    task_id = await taken(harness)
    await looked(harness)
    assert (await harness.status(task_id))[0] == "running"
    await Beating(harness).once()
    await eventually(lambda: harness.status_is(task_id, *ENDED), 20)


async def test_an_attempt_that_was_taken_before_it_was_sent_is_watched_too(harness: DispatchHarness) -> None:
    projector = harness.run(harness.projector().run())
    await Beating(harness).once()
    task_id = await harness.dispatch()
    await harness.until(("granted", task_id))
    await harness.report(task_id, "running")
    harness.run(harness.dispatcher().run(harness.queue()))
    harness.run(harness.due().consume(harness.watchdog().handle))
    await eventually(lambda: harness.status_is(task_id, *ENDED))
    await harness.stop(projector)


async def test_a_cancel_that_the_lost_runner_cannot_confirm_is_confirmed(harness: DispatchHarness) -> None:
    harness.start()
    await Beating(harness).once()
    task_id = await taken(harness)
    await harness.commands.cancel(task_id, None, "operator:ann")
    await eventually(lambda: harness.status_is(task_id, "canceled", "runner-lost"))
    await harness.until(("granted", task_id), ("released", task_id))


async def test_under_hold_the_lock_stays_until_an_operator_frees_it(harness: DispatchHarness) -> None:
    await harness.register(on_runner_lost="hold")
    harness.start()
    await Beating(harness).once()
    task_id = await taken(harness)
    plain = await harness.create_plain()
    await harness.report(plain, "running")
    await eventually(lambda: harness.status_is(plain, *ENDED))
    await looked(harness, 2)
    assert (await harness.status(task_id))[0] == "running"
    await harness.until(("granted", task_id))
    await harness.commands.cancel(task_id, None, "operator:ann")
    await looked(harness, 1)
    assert (await harness.status(task_id))[0] == "running"
    released = await harness.commands.release_locks(task_id, "host is off", "operator:ann")
    assert released is not None
    assert released.process_may_run
    await eventually(lambda: harness.status_is(task_id, *ENDED))
    await harness.until(("granted", task_id), ("released", task_id))
    assert await harness.armed() == []


async def test_a_policy_changed_meanwhile_counts(harness: DispatchHarness) -> None:
    await harness.register(on_runner_lost="hold")
    harness.start()
    await Beating(harness).once()
    task_id = await taken(harness)
    await looked(harness, 2)
    assert (await harness.status(task_id))[0] == "running"
    await harness.register(on_runner_lost="fail")
    await eventually(lambda: harness.status_is(task_id, *ENDED))


async def test_an_older_attempts_timer_touches_nothing_of_the_next(harness: DispatchHarness) -> None:
    harness.start()
    await Beating(harness).once()
    task_id = await taken(harness)
    await harness.report(task_id, "failed")
    await harness.commands.dispatch(task_id, "operator:ann")
    await eventually(lambda: harness.status_is(task_id, "dispatched", granted=True))
    await looked(harness, 2, before=0)  # each attempt's timer, however long this has taken
    assert (await harness.commands.read(task_id)).task.attempt == 2
    assert (await harness.status(task_id))[0] == "dispatched"


async def test_another_watchdog_takes_over_from_one_that_dies_in_between(harness: DispatchHarness) -> None:
    harness.policy = QueuePolicy(ack_wait_seconds=1.0, progress_seconds=0.3)
    stuck: list[Due] = []

    async def hang(due: Due) -> None:
        stuck.append(due)
        await asyncio.Event().wait()

    harness.run(harness.projector().run())
    harness.run(harness.dispatcher().run(harness.queue()))
    crashing = harness.run(harness.due().consume(hang))
    await Beating(harness).once()
    task_id = await taken(harness)
    await eventually(lambda: stuck)
    assert parse_note(stuck[0].note).submit_by is not None
    await harness.stop(crashing)
    for _ in range(2):
        harness.run(harness.due().consume(harness.watchdog().handle))
    await eventually(lambda: harness.status_is(task_id, *ENDED))
    names = [event.event for event in await harness.log.reader.page(0, 100, EventFilter("task", task_id))]
    assert names.count("failed") == 1


async def test_two_runners_with_one_id_end_nothing_of_each_other(harness: DispatchHarness) -> None:
    harness.start()
    runners = {name: Beating(harness, name) for name in ("one", "two")}
    beating = {name: harness.run(runner.on()) for name, runner in runners.items()}
    for name in runners:
        task_id = await harness.dispatch(name)
        await eventually(lambda task_id=task_id: harness.status_is(task_id, "dispatched", granted=True))
        report = Report(status="running", attempt=1, runner_id="r1", instance=name)
        await harness.reports.report(task_id, report, None, "nats", "runner:r1")
        runners[name].held = [task_id]
    tasks = [runner.held[0] for runner in runners.values()]
    await looked(harness, 6)
    assert [await harness.status(task_id) for task_id in tasks] == [("running", None)] * 2

    await harness.stop(beating["one"])
    await eventually(lambda: harness.status_is(tasks[0], *ENDED))
    assert await harness.status(tasks[1]) == ("running", None)
    await harness.stop(beating["two"])
    await eventually(lambda: harness.status_is(tasks[1], *ENDED))
