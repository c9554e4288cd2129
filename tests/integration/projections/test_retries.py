"""The next attempt begins by itself, once, whatever process managers, timers and people do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from nats.aio.client import Client

from adapters.nats.jetstream_api import JetStreamApi
from domain.errors import Busy, LogFull
from domain.identifiers import TaskId
from domain.locks.claim_capacity import ClaimCapacity
from domain.log.capacity import Bound
from domain.log.events import OnRunnerLost
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.queues import Due
from domain.protocol import Report
from domain.services.task_commands import TaskCommands
from domain.subjects import Stream
from domain.task.retries import ACTOR
from domain.task.spec import Retry
from projections import retries
from tests.integration.projections.dispatching import DispatchHarness, dispatch_harness
from tests.support.messages import now
from tests.support.waiting import eventually

LATER = timedelta(days=30)


@pytest.fixture
async def harness(js_connection: Client) -> AsyncIterator[DispatchHarness]:
    async with dispatch_harness(js_connection) as running:
        yield running


async def _failed(harness: DispatchHarness, backoff_seconds: float = 0.0, **spec: Any) -> TaskId:
    """A task whose first attempt has failed, and that is to have three."""
    policy = Retry(max_attempts=3, backoff_seconds=backoff_seconds, on=["exit"])
    task_id = TaskId(await harness.create_plain(retry=policy, **spec))
    if "workspace" in spec:
        harness.run(harness.projector().run())
        await harness.until(("granted", task_id))
    await _fail(harness, task_id, 1)
    if "workspace" in spec:
        await harness.until(("granted", task_id), ("released", task_id))
    return task_id


async def _fail(harness: DispatchHarness, task_id: TaskId, attempt: int) -> None:
    said = Report(status="failed", reason="exit", exit_code=2, runner_id="r1", attempt=attempt)
    await harness.reports.report(task_id, said, None, "nats", "runner:r1")


async def _end(harness: DispatchHarness, task_id: TaskId) -> Recorded:
    """The last `failed` of the task."""
    return (await harness.log.reader.page(0, 10, EventFilter("task", task_id, "failed")))[-1]


async def _begun(harness: DispatchHarness, task_id: TaskId) -> list[str]:
    """Who has begun the attempts."""
    events = await harness.log.reader.page(0, 50, EventFilter("task", task_id, "dispatched"))
    return [one.actor for one in events]


def _due(task_id: TaskId, attempt: int = 1, early: timedelta = -LATER) -> Due:
    return Due(retries.deadline(task_id, attempt), now() - early)


async def _armed(harness: DispatchHarness, task_id: TaskId, attempt: int = 1) -> bool:
    return f"towpath.timer.at.retry.{task_id}.{attempt}" in await harness.armed()


async def test_each_attempt_that_fails_is_followed_by_another_up_to_the_last(
    harness: DispatchHarness,
) -> None:
    for _ in range(2):
        harness.start_retries()
    task_id = await _failed(harness, 0.01)
    for attempt in (2, 3):
        await eventually(lambda attempt=attempt: _at_attempt(harness, task_id, attempt))
        await _fail(harness, task_id, attempt)
    await harness.retries().plan(await _end(harness, task_id))
    await harness.retries().handle(_due(task_id, 3))
    assert await _begun(harness, task_id) == ["operator:ann", ACTOR, ACTOR]
    assert (await harness.commands.read(task_id)).task.next_attempt_at is None


async def test_several_managers_and_redeliveries_begin_one_attempt(harness: DispatchHarness) -> None:
    task_id = await _failed(harness)
    managers = [harness.retries() for _ in range(4)]
    await asyncio.gather(*(one.handle(_due(task_id)) for one in managers for _ in range(2)))
    assert await _begun(harness, task_id) == ["operator:ann", ACTOR]
    await _fail(harness, task_id, 2)
    await managers[0].handle(_due(task_id, 1))
    assert await _begun(harness, task_id) == ["operator:ann", ACTOR], "that timer was for the first attempt"


async def test_a_crash_before_the_acknowledgement_begins_no_second_attempt(harness: DispatchHarness) -> None:
    task_id = await _failed(harness)
    end = await _end(harness, task_id)
    for _ in range(2):
        await harness.retries().plan(end)
        await harness.retries().handle(_due(task_id))
    await harness.retries().plan(end)
    assert await _begun(harness, task_id) == ["operator:ann", ACTOR]


async def test_a_timer_that_comes_early_is_armed_again(harness: DispatchHarness) -> None:
    task_id = await _failed(harness, 3600.0)
    await harness.retries().handle(_due(task_id, early=timedelta()))
    assert await _begun(harness, task_id) == ["operator:ann"]
    assert await _armed(harness, task_id)


async def test_lost_timers_are_armed_again_once_the_consumer_reads_the_log_anew(
    harness: DispatchHarness,
) -> None:
    manager = harness.run(harness.ends().consume(harness.retries().plan))
    task_id = await _failed(harness, 3600.0)
    await eventually(lambda: _armed(harness, task_id))
    await harness.stop(manager)
    await JetStreamApi(harness.connection, Stream.TIMER).purge(f"towpath.timer.at.retry.{task_id}.1", 1 << 30)
    await JetStreamApi(harness.connection).delete_consumer(retries.CONSUMER)
    assert not await _armed(harness, task_id)
    harness.run(harness.ends().consume(harness.retries().plan))
    await eventually(lambda: _armed(harness, task_id))


@pytest.mark.parametrize("crossing", ["cancel", "dispatch"])
async def test_a_command_that_crosses_with_a_retry(harness: DispatchHarness, crossing: str) -> None:
    task_id = await _failed(harness)
    command = harness.commands.cancel(task_id, None, "ann") if crossing == "cancel" else None
    command = command or harness.commands.dispatch(task_id, "ann")
    await asyncio.gather(command, harness.retries().handle(_due(task_id)), return_exceptions=True)
    task = (await harness.commands.read(task_id)).task
    begun = await _begun(harness, task_id)
    if crossing == "dispatch":
        assert len(begun) == 2, "one of both, never both"
        return
    assert task.next_attempt_at is None
    assert (task.attempt, task.status.value) in ((1, "failed"), (2, "canceled")), "the cancel stands"


async def test_a_cancel_between_attempts_leaves_nothing_to_begin(harness: DispatchHarness) -> None:
    task_id = await _failed(harness)
    await harness.commands.cancel(task_id, "enough", "ann")
    await harness.commands.cancel(task_id, "enough", "ann")
    await harness.retries().handle(_due(task_id))
    assert await _begun(harness, task_id) == ["operator:ann"]


async def test_a_workspace_that_was_removed_ends_the_retries(harness: DispatchHarness) -> None:
    task_id = await _failed(harness, workspace="acme")
    last = await harness.log.workspaces.last_registration("acme")
    await harness.log.workspaces.append_removed("acme", last, None, at=now(), actor="ann")
    await harness.retries().handle(_due(task_id))
    task = (await harness.commands.read(task_id)).task
    assert (task.status.value, task.attempt, task.next_attempt_at) == ("failed", 1, None)
    (given_up,) = await harness.log.reader.page(0, 5, EventFilter("task", task_id, "cancel-requested"))
    assert given_up.actor == ACTOR
    assert "acme" in given_up.data["reason"]


async def test_a_workspace_that_was_moved_gets_the_attempt_at_its_new_root(harness: DispatchHarness) -> None:
    task_id = await _failed(harness, workspace="acme")
    last = await harness.log.workspaces.last_registration("acme")
    await harness.log.workspaces.append_registered(
        "acme", last, "/srv/new", "fail", at=now(), actor="operator:ann"
    )
    await harness.retries().handle(_due(task_id))
    task = (await harness.commands.read(task_id)).task
    assert task.dispatched is not None
    assert (task.attempt, task.dispatched.root) == (2, "/srv/new")


@pytest.mark.parametrize(
    ("policy", "released", "attempts"), [("fail", False, 2), ("fail", True, 1), ("hold", False, 1)]
)
async def test_a_lost_runner_is_retried_unless_a_person_decides(
    harness: DispatchHarness, policy: OnRunnerLost, released: bool, attempts: int
) -> None:
    last = await harness.log.workspaces.last_registration("acme")
    await harness.log.workspaces.append_registered(
        "acme", last, "/srv/acme", policy, at=now(), actor="operator:ann"
    )
    harness.run(harness.projector().run())
    retry = Retry(max_attempts=3, backoff_seconds=0.0, on=["runner-lost"])
    task_id = TaskId(await harness.create_plain(workspace="acme", retry=retry))
    await harness.until(("granted", task_id))
    await harness.report(task_id, "running")
    if released:
        await harness.commands.release_locks(task_id, "stuck", "ann")
    await harness.findings.runner_lost(task_id, 1, "silent", "watchdog")
    await harness.until(("granted", task_id), ("released", task_id))
    await harness.retries().plan(await _end(harness, task_id))
    await harness.retries().handle(_due(task_id))
    assert len(await _begun(harness, task_id)) == attempts


class _Full:
    """A log without room."""

    def bounds(self) -> list[Bound]:
        return [Bound("the log", 0, 1, "wait")]


async def test_without_room_the_timer_is_redelivered(harness: DispatchHarness) -> None:
    task_id = await _failed(harness, workspace="acme", lock_wait_seconds=60)
    common = harness.log.tasks, now, harness.view, harness.cipher
    for commands, error in (
        (TaskCommands(*common, claim_capacity=ClaimCapacity(harness.view, most_claims=0)), Busy),
        (TaskCommands(*common, _Full()), LogFull),
    ):
        with pytest.raises(error):
            await harness.retries(commands).handle(_due(task_id))
    assert await _begun(harness, task_id) == ["operator:ann"]
    await harness.retries().handle(_due(task_id))
    assert await _begun(harness, task_id) == ["operator:ann", ACTOR]


async def test_an_end_without_a_policy_arms_nothing(harness: DispatchHarness) -> None:
    task_id = TaskId(await harness.create_plain())
    await _fail(harness, task_id, 1)
    end = await _end(harness, task_id)
    await harness.retries().plan(end)
    fields = {name: getattr(end, name) for name in Recorded.__slots__}
    await harness.retries().plan(Recorded(**{**fields, "data": {**end.data, "reason": "killed"}}))
    await harness.retries().handle(_due(task_id))
    assert await harness.armed() == []
    assert await _begun(harness, task_id) == ["operator:ann"]


async def _at_attempt(harness: DispatchHarness, task_id: TaskId, attempt: int) -> bool:
    return (await harness.commands.read(task_id)).task.attempt == attempt
