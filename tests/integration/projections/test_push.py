"""Attempts pushed to a runner over HTTP: accepted, refused, unreachable, canceled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

import adapters.runners.submission
from adapters.queues.work_queue import POLICY, QueuePolicy
from domain.backoff import Backoff
from domain.log.filter import EventFilter
from tests.integration.projections.dispatching import DispatchHarness, dispatch_harness
from tests.support.http.bad_http import BadHttp
from tests.support.http.http_runner import HttpRunner
from tests.support.nats import subjects
from tests.support.waiting import eventually


@pytest.fixture
async def runner() -> AsyncIterator[HttpRunner]:
    async with HttpRunner() as running:
        yield running


@pytest.fixture
def policy() -> QueuePolicy:
    return POLICY


@pytest.fixture
async def harness(
    js_connection: Client, runner: HttpRunner, policy: QueuePolicy
) -> AsyncIterator[DispatchHarness]:
    async with dispatch_harness(js_connection, runner.url + "/") as running:
        running.policy = policy
        running.start()
        yield running


async def test_an_acceptance_is_recorded_as_queued(harness: DispatchHarness, runner: HttpRunner) -> None:
    runner.answers["submit"] = (202, {"task_id": "x", "attempt": 1, "status": "queued"})
    task_id = await harness.dispatch(env={"A": "b"}, secrets={"KEY": "s3cret"})
    await eventually(lambda: _is(harness, task_id, "queued", None))
    (call,) = runner.calls
    assert (call.method, call.path) == ("POST", "/tasks/submit")
    assert call.headers["x-runner-token"] == "runner-secret"
    assert (call.body["task_id"], call.body["env"]) == (task_id, {"A": "b", "KEY": "s3cret"})
    assert call.body["secret_names"] == ["KEY"]
    assert (await harness.commands.read(task_id)).task.runner_id is None
    (queued,) = await harness.log.reader.page(0, 10, EventFilter("task", task_id, "queued"))
    assert queued.data["transport"] == "http"
    assert await harness.submissions() == []


async def test_an_acceptance_may_name_the_runner(harness: DispatchHarness, runner: HttpRunner) -> None:
    runner.answers["submit"] = (
        202,
        lambda body: {"task_id": body["task_id"], "attempt": 1, "status": "queued", "runner_id": "r7"},
    )
    task_id = await harness.create_plain()
    await eventually(lambda: _is(harness, task_id, "queued", None))
    assert (await harness.commands.read(task_id)).task.runner_id == "r7"


@pytest.mark.parametrize("detail", ["no\x00 \ud83d", "x" * 9000, ["[" * 9]])
async def test_a_refusal_is_recorded_whatever_its_words(
    harness: DispatchHarness, runner: HttpRunner, detail: object
) -> None:
    runner.answers["submit"] = (409, {"detail": detail})
    task_id = await harness.create_plain()
    await eventually(lambda: _is(harness, task_id, "submit-failed", "rejected"))
    message = (await harness.commands.read(task_id)).task.message
    assert message is not None
    assert len(message) < 600
    assert "\x00" not in message


async def test_other_pools_have_their_queues(harness: DispatchHarness, runner: HttpRunner) -> None:
    task_id = await harness.create_plain(pool="elsewhere")
    (sent,) = await eventually(lambda: harness.submissions("elsewhere"))
    assert sent["task_id"] == task_id
    assert runner.calls == []


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (400, {"detail": "no such root"}, "rejected", "no such root"),
        (409, {"title": "busy"}, "rejected", "409"),
        (429, {}, "unreachable", "429"),
        (500, {"message": "broken"}, "unreachable", "broken"),
        (503, "plain", "unreachable", "503"),
        (307, {}, "unreachable", "307"),
    ],
)
async def test_a_refusal_ends_the_attempt_and_frees_its_lock(
    harness: DispatchHarness, runner: HttpRunner, status: int, body: object, reason: str, words: str
) -> None:
    runner.answers["submit"] = (status, body)
    task_id = await harness.dispatch()
    await eventually(lambda: _is(harness, task_id, "submit-failed", reason))
    assert words in ((await harness.commands.read(task_id)).task.message or "")
    await harness.until(("granted", task_id), ("released", task_id))
    assert len(runner.calls) == 1


async def test_a_refused_connection_ends_the_attempt(js_connection: Client) -> None:
    async with dispatch_harness(js_connection, "http://127.0.0.1:9") as harness:
        harness.start()
        task_id = await harness.dispatch()
        await eventually(lambda: _is(harness, task_id, "submit-failed", "unreachable"))
        await harness.until(("granted", task_id), ("released", task_id))


async def test_an_acceptance_of_what_was_canceled_meanwhile_changes_nothing(
    harness: DispatchHarness, runner: HttpRunner
) -> None:
    runner.gate.clear()
    task_id = await harness.dispatch()
    await eventually(lambda: runner.calls)
    await harness.commands.cancel(task_id, None, "operator:ann")
    runner.gate.set()
    follower = await harness.create_plain()
    await eventually(lambda: _is(harness, follower, "queued", None))
    assert (await harness.status(task_id))[0] == "canceled"


@pytest.mark.parametrize("policy", [QueuePolicy(most_deliveries=2, retry=Backoff(0.04, 30.0))])
async def test_a_cancel_is_passed_on_and_repeated_until_the_runner_has_heard_it(
    harness: DispatchHarness, runner: HttpRunner
) -> None:
    runner.answers["cancel"] = (401, {"detail": "wrong token"})
    task_id = await harness.create_plain()
    await eventually(lambda: _is(harness, task_id, "queued", None))
    await harness.commands.cancel(task_id, "not needed", "operator:ann")
    await eventually(lambda: len(_cancels(runner)) >= 3)
    runner.answers["cancel"] = (404, {})
    heard = len(_cancels(runner)) + 1
    await eventually(lambda: len(_cancels(runner)) >= heard)
    call = runner.calls[-1]
    assert (call.path, call.body) == (f"/tasks/{task_id}/cancel", {"attempt": 1})
    assert call.headers["x-runner-token"] == "runner-secret"
    other = await harness.create_plain()
    await eventually(lambda: _is(harness, other, "queued", None))
    assert len(_cancels(runner)) <= heard + 1
    assert await subjects(harness.connection, "TOWPATH_DEAD") == {}


async def test_a_push_runner_that_hangs_does_not_hold_up_other_pools(js_connection: Client) -> None:
    async with BadHttp("trickle-body") as bad, dispatch_harness(js_connection, bad.url) as harness:
        harness.start()
        hanging = [await harness.create_plain() for _ in range(POLICY.concurrency + 40)]
        await eventually(lambda: bad.asked >= adapters.runners.submission.SUBMITS)
        other = await harness.create_plain(pool="elsewhere")
        (sent,) = await eventually(
            lambda: harness.submissions("elsewhere"), adapters.runners.submission.PUSH_SECONDS / 2
        )
        assert sent["task_id"] == other
        assert {(await harness.status(task_id))[0] for task_id in hanging} == {"dispatched"}


def _cancels(runner: HttpRunner) -> list[object]:
    return [call for call in runner.calls if call.path.endswith("/cancel")]


async def _is(harness: DispatchHarness, task_id: str, status: str, reason: str | None) -> bool:
    return await harness.status(task_id) == (status, reason)
