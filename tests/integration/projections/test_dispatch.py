"""From the grant to a pool's queue: what runners are promised, once, and nothing for what has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from adapters.crypto.env_encryption import AesGcmEnvCipher
from adapters.queues.work_queue import QueuePolicy
from adapters.runners.heartbeats import JetStreamHeartbeats
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.dispatch import SubmitOutcome
from domain.protocol import Heartbeat, Submission
from domain.runners.attempt_token import Proof
from domain.runners.runner_key import runner_id_of
from tests.integration.projections.dispatching import JOB_TOKENS, TOKENS, DispatchHarness, dispatch_harness
from tests.support.waiting import eventually


@pytest.fixture
async def harness(js_connection: Client) -> AsyncIterator[DispatchHarness]:
    async with dispatch_harness(js_connection) as running:
        yield running


async def one_submission(harness: DispatchHarness, pool: str = "default") -> dict[str, object]:
    found = await eventually(lambda: harness.submissions(pool))
    assert len(found) == 1
    return found[0]


async def test_a_grant_becomes_the_promised_submission(harness: DispatchHarness) -> None:
    harness.start()
    task_id = await harness.dispatch(
        "src", title="build", env={"TOKEN": "s3cret"}, timeout_seconds=60.0, pool="linux"
    )
    sent = await one_submission(harness, "linux")
    (grant,) = await harness.facts()
    token = sent.pop("status_callback_token")
    assert JOB_TOKENS.check(task_id, str(sent.pop("job_token"))) == 1
    assert sent == {
        "task_id": task_id,
        "attempt": 1,
        "title": "build",
        "command": ["true"],
        "env": {"TOKEN": "s3cret"},
        "secret_names": [],
        "timeout_seconds": 60.0,
        "execution_mode": "shared-workspace",
        "workspace": {
            "id": "acme",
            "root": "/srv/acme",
            "lock_paths": ["src"],
            "lock_mode": "exclusive",
            "lock_token": grant.seq,
        },
        "api_url": None,
        "status_callback_url": f"http://control:8000/runner/tasks/{task_id}/status",
    }
    assert TOKENS.check(task_id, str(token)) == Proof(1, grant.seq)
    assert await harness.armed() == [f"towpath.timer.at.attempt.{task_id}.1"]
    assert (await harness.status(task_id))[0] == "dispatched", "queued is the runner's word"


async def test_a_task_without_a_workspace_goes_out_when_dispatched(harness: DispatchHarness) -> None:
    harness.start()
    task_id = await harness.create_plain()
    sent = await one_submission(harness)
    assert (sent["task_id"], sent["workspace"], sent["env"]) == (task_id, None, {})
    assert TOKENS.check(task_id, str(sent["status_callback_token"])) == Proof(1, 0)


async def test_a_runner_that_takes_its_own_task_is_watched_and_gets_no_submission(
    harness: DispatchHarness,
) -> None:
    harness.start()
    pool = runner_id_of("build-7", "key.mine")
    own, other = await harness.dispatch("a", pool=pool), await harness.dispatch("b")
    await one_submission(harness)
    timers = {f"towpath.timer.at.attempt.{task_id}.1" for task_id in (own, other)}

    async def both_armed() -> bool:
        return set(await harness.armed()) == timers

    await eventually(both_armed)
    assert await harness.submissions(pool) == []


async def test_who_waits_is_sent_when_granted(harness: DispatchHarness) -> None:
    harness.start()
    holder, waiter = await harness.dispatch(), await harness.dispatch()
    assert (await one_submission(harness))["task_id"] == holder
    await harness.report(holder)
    await eventually(lambda: _sent(harness, holder, waiter))


async def test_what_has_ended_meanwhile_is_not_sent(harness: DispatchHarness) -> None:
    projector = harness.run(harness.projector().run())
    canceled = await harness.dispatch("a")
    plain = await harness.create_plain()
    await harness.until(("granted", canceled))
    await harness.stop(projector)
    for task_id in (canceled, plain):
        await harness.commands.cancel(task_id, None, "operator:ann")
    later = await harness.create_plain()
    harness.run(harness.dispatcher().run(harness.queue()))
    assert (await one_submission(harness))["task_id"] == later
    assert await harness.armed() == [f"towpath.timer.at.attempt.{later}.1"]


async def test_an_old_grant_sends_nothing_of_a_newer_attempt(harness: DispatchHarness) -> None:
    projector = harness.run(harness.projector().run())
    task_id = await harness.dispatch()
    await harness.until(("granted", task_id))
    (grant,) = await harness.facts()
    await harness.commands.cancel(task_id, None, "operator:ann")
    await harness.until(("granted", task_id), ("released", task_id))
    await harness.stop(projector)
    await harness.commands.dispatch(task_id, "operator:ann")
    await harness.dispatcher().handle(grant)
    assert await harness.submissions() == []
    assert await harness.armed() == []


async def test_a_refusal_becomes_submit_failed(harness: DispatchHarness) -> None:
    harness.start()
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    refused = await harness.dispatch(on_conflict="reject")
    await eventually(lambda: _is(harness, refused, "submit-failed", "workspace-locked"))
    task = (await harness.commands.read(refused)).task
    assert holder in (task.message or "")


async def test_values_sealed_with_another_key_end_the_attempt(harness: DispatchHarness) -> None:
    task_id = await harness.dispatch(env={"A": "b"})
    harness.cipher = AesGcmEnvCipher(b"another secret")
    harness.start()
    await eventually(lambda: _is(harness, task_id, "submit-failed", "rejected"))
    await harness.until(("granted", task_id), ("released", task_id))


async def test_the_deadline_is_armed_before_the_send(harness: DispatchHarness) -> None:
    armed: list[list[str]] = []

    class Looking:
        async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
            armed.append(await harness.armed())
            return SubmitOutcome(queued=False, transport="nats")

        async def cancel(self, task_id: str, attempt: int, pool: str) -> None: ...

    task_id = await harness.create_plain()
    await harness.dispatcher(Looking()).handle(await _last(harness, task_id))
    assert armed == [[f"towpath.timer.at.attempt.{task_id}.1"]]


@pytest.mark.parametrize(("served", "reason"), [(True, "deadline"), (False, "no-runner")])
async def test_what_nobody_takes_in_time_ends_and_frees_its_lock(
    harness: DispatchHarness, served: bool, reason: str
) -> None:
    harness.deadline_seconds = 0.5
    pool = "default" if served else "other"
    beat = Heartbeat(runner_id="r1", pools=[pool], host="h", capacity=1, counter=1)
    await JetStreamHeartbeats(harness.connection).publish(beat)
    harness.start()
    task_id = await harness.dispatch()
    await eventually(lambda: _is(harness, task_id, "submit-failed", reason))
    await harness.until(("granted", task_id), ("released", task_id))
    assert await harness.armed() == []


async def test_a_deadline_leaves_alone_what_was_taken(harness: DispatchHarness) -> None:
    harness.deadline_seconds = 1.0
    harness.start()
    taken = await harness.dispatch("a")
    await eventually(harness.submissions)
    await harness.report(taken, "queued")
    late = await harness.dispatch("b")
    await eventually(lambda: _is(harness, late, "submit-failed", "no-runner"))
    assert (await harness.status(taken))[0] == "queued"


async def test_two_dispatchers_share_and_a_crash_brings_it_again(harness: DispatchHarness) -> None:
    harness.policy = QueuePolicy(ack_wait_seconds=1.0, progress_seconds=0.3)
    stuck = asyncio.Event()

    async def hang(_: Recorded) -> None:
        stuck.set()
        await asyncio.Event().wait()

    crashing = harness.run(harness.queue().consume(hang))
    first = await harness.create_plain()
    await stuck.wait()
    await harness.stop(crashing)
    for _ in range(2):
        harness.run(harness.dispatcher().run(harness.queue()))
    rest = [await harness.create_plain() for _ in range(20)]
    await eventually(lambda: _sent(harness, first, *rest))
    assert len(await harness.submissions()) == 21


async def _sent(harness: DispatchHarness, *task_ids: str) -> bool:
    return {one["task_id"] for one in await harness.submissions()} == set(task_ids)


async def _is(harness: DispatchHarness, task_id: str, status: str, reason: str) -> bool:
    return await harness.status(task_id) == (status, reason)


async def _last(harness: DispatchHarness, task_id: str) -> Recorded:
    return (await harness.log.reader.page(0, 100, EventFilter("task", task_id)))[-1]
