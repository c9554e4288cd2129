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
from tests.integration.projections.dispatching import TOKENS, DispatchStage, dispatch_stage
from tests.support.waiting import eventually


@pytest.fixture
async def stage(js_connection: Client) -> AsyncIterator[DispatchStage]:
    async with dispatch_stage(js_connection) as running:
        yield running


async def one_submission(stage: DispatchStage, pool: str = "default") -> dict[str, object]:
    found = await eventually(lambda: stage.submissions(pool))
    assert len(found) == 1
    return found[0]


async def test_a_grant_becomes_the_promised_submission(stage: DispatchStage) -> None:
    stage.start()
    task_id = await stage.dispatch(
        "src", title="build", env={"TOKEN": "s3cret"}, timeout_seconds=60.0, pool="linux"
    )
    sent = await one_submission(stage, "linux")
    (grant,) = await stage.facts()
    token = sent.pop("status_callback_token")
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
        "status_callback_url": f"http://control:8000/runner/tasks/{task_id}/status",
    }
    assert TOKENS.check(task_id, str(token)) == Proof(1, grant.seq)
    assert await stage.armed() == [f"towpath.timer.at.attempt.{task_id}.1"]
    assert (await stage.status(task_id))[0] == "dispatched", "queued is the runner's word"


async def test_a_task_without_a_workspace_goes_out_when_dispatched(stage: DispatchStage) -> None:
    stage.start()
    task_id = await stage.create_plain()
    sent = await one_submission(stage)
    assert (sent["task_id"], sent["workspace"], sent["env"]) == (task_id, None, {})
    assert TOKENS.check(task_id, str(sent["status_callback_token"])) == Proof(1, 0)


async def test_who_waits_is_sent_when_granted(stage: DispatchStage) -> None:
    stage.start()
    holder, waiter = await stage.dispatch(), await stage.dispatch()
    assert (await one_submission(stage))["task_id"] == holder
    await stage.report(holder)
    await eventually(lambda: _sent(stage, holder, waiter))


async def test_what_has_ended_meanwhile_is_not_sent(stage: DispatchStage) -> None:
    projector = stage.run(stage.projector().run())
    canceled = await stage.dispatch("a")
    plain = await stage.create_plain()
    await stage.until(("granted", canceled))
    await stage.stop(projector)
    for task_id in (canceled, plain):
        await stage.commands.cancel(task_id, None, "operator:ann")
    later = await stage.create_plain()
    stage.run(stage.dispatcher().run(stage.queue()))
    assert (await one_submission(stage))["task_id"] == later
    assert await stage.armed() == [f"towpath.timer.at.attempt.{later}.1"]


async def test_an_old_grant_sends_nothing_of_a_newer_attempt(stage: DispatchStage) -> None:
    projector = stage.run(stage.projector().run())
    task_id = await stage.dispatch()
    await stage.until(("granted", task_id))
    (grant,) = await stage.facts()
    await stage.commands.cancel(task_id, None, "operator:ann")
    await stage.until(("granted", task_id), ("released", task_id))
    await stage.stop(projector)
    await stage.commands.dispatch(task_id, "operator:ann")
    await stage.dispatcher().handle(grant)
    assert await stage.submissions() == []
    assert await stage.armed() == []


async def test_a_refusal_becomes_submit_failed(stage: DispatchStage) -> None:
    stage.start()
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    refused = await stage.dispatch(on_conflict="reject")
    await eventually(lambda: _is(stage, refused, "submit-failed", "workspace-locked"))
    task = (await stage.commands.read(refused)).task
    assert holder in (task.message or "")


async def test_values_sealed_with_another_key_end_the_attempt(stage: DispatchStage) -> None:
    task_id = await stage.dispatch(env={"A": "b"})
    stage.cipher = AesGcmEnvCipher(b"another secret")
    stage.start()
    await eventually(lambda: _is(stage, task_id, "submit-failed", "rejected"))
    await stage.until(("granted", task_id), ("released", task_id))


async def test_the_deadline_is_armed_before_the_send(stage: DispatchStage) -> None:
    armed: list[list[str]] = []

    class Looking:
        async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
            armed.append(await stage.armed())
            return SubmitOutcome(queued=False, transport="nats")

        async def cancel(self, task_id: str, attempt: int, pool: str) -> None: ...

    task_id = await stage.create_plain()
    await stage.dispatcher(Looking()).handle(await _last(stage, task_id))
    assert armed == [[f"towpath.timer.at.attempt.{task_id}.1"]]


@pytest.mark.parametrize(("served", "reason"), [(True, "deadline"), (False, "no-runner")])
async def test_what_nobody_takes_in_time_ends_and_frees_its_lock(
    stage: DispatchStage, served: bool, reason: str
) -> None:
    stage.deadline_seconds = 0.5
    pool = "default" if served else "other"
    beat = Heartbeat(runner_id="r1", pools=[pool], host="h", capacity=1, counter=1)
    await JetStreamHeartbeats(stage.connection).publish(beat)
    stage.start()
    task_id = await stage.dispatch()
    await eventually(lambda: _is(stage, task_id, "submit-failed", reason))
    await stage.until(("granted", task_id), ("released", task_id))
    assert await stage.armed() == []


async def test_a_deadline_leaves_alone_what_was_taken(stage: DispatchStage) -> None:
    stage.deadline_seconds = 1.0
    stage.start()
    taken = await stage.dispatch("a")
    await eventually(stage.submissions)
    await stage.report(taken, "queued")
    late = await stage.dispatch("b")
    await eventually(lambda: _is(stage, late, "submit-failed", "no-runner"))
    assert (await stage.status(taken))[0] == "queued"


async def test_two_dispatchers_share_and_a_crash_brings_it_again(stage: DispatchStage) -> None:
    stage.policy = QueuePolicy(ack_wait_seconds=1.0, progress_seconds=0.3)
    stuck = asyncio.Event()

    async def hang(_: Recorded) -> None:
        stuck.set()
        await asyncio.Event().wait()

    crashing = stage.run(stage.queue().consume(hang))
    first = await stage.create_plain()
    await stuck.wait()
    await stage.stop(crashing)
    for _ in range(2):
        stage.run(stage.dispatcher().run(stage.queue()))
    rest = [await stage.create_plain() for _ in range(20)]
    await eventually(lambda: _sent(stage, first, *rest))
    assert len(await stage.submissions()) == 21


async def _sent(stage: DispatchStage, *task_ids: str) -> bool:
    return {one["task_id"] for one in await stage.submissions()} == set(task_ids)


async def _is(stage: DispatchStage, task_id: str, status: str, reason: str) -> bool:
    return await stage.status(task_id) == (status, reason)


async def _last(stage: DispatchStage, task_id: str) -> Recorded:
    return (await stage.world.reader.page(0, 100, EventFilter("task", task_id)))[-1]
