"""A zombie: attempt 1 goes on reporting while attempt 2 runs. It changes nothing, by HTTP or by NATS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nats.aio.client import Client

from tests.support.http.push_runner import PushRunner, push_runner
from tests.support.nats import connect
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

REASONS = {"stale-attempt", "conflicting-end", "wrong-token"}
STATUSES = ("queued", "running", "succeeded", "failed", "canceled")


@pytest.mark.parametrize("ended", ["failed", "canceled"])
async def test_what_attempt_1_says_changes_nothing_of_attempt_2(home: Home, ended: str) -> None:
    with push_runner() as runner:
        up = home.up(HOST_RUNNER_URL=runner.url, API_RUNNER_CALLBACK_TOKEN="shared-secret")
        up.workspace("shop")
        task_id = up.create(["make"], workspace="shop", lock_paths=["src"])
        first = await _submitted(runner, task_id, 1)
        await eventually(lambda: up.task(task_id)["status"] == "queued", DEADLINE)
        assert runner.say(first, "running", runner_id="one").is_success
        assert runner.say(first, ended, runner_id="one").is_success
        up.post(f"/tasks/{task_id}/dispatch")
        second = await _submitted(runner, task_id, 2)
        assert second["status_callback_token"] != first["status_callback_token"]
        await eventually(lambda: up.task(task_id)["status"] == "queued", DEADLINE)
        assert runner.say(second, "running", runner_id="two").is_success
        before = up.task(task_id), up.holders(), up.events(task_id=task_id)
        assert before[1] == {task_id: second["workspace"]["lock_token"]}

        _by_http(runner, first)
        assert (up.task(task_id), up.holders(), up.events(task_id=task_id)) == before
        buried = await _by_nats(up, first)
        assert (up.task(task_id), up.holders(), up.events(task_id=task_id)) == before
        assert {reason.split(":")[0] for reason in buried} <= REASONS, buried

        done = runner.say(second, "succeeded", runner_id="two")
        assert (done.json()["status"], done.json()["attempt"]) == ("succeeded", 2)
        await eventually(lambda: up.holders() == {}, DEADLINE)
        _by_http(runner, first)
        assert up.task(task_id)["status"] == "succeeded"
        assert up.server.interrupt() == 0


async def _submitted(runner: PushRunner, task_id: str, attempt: int) -> dict[str, Any]:
    def sent() -> dict[str, Any] | None:
        found = runner.submission(task_id)
        return found if found is not None and found["attempt"] == attempt else None

    return await eventually(sent, DEADLINE)


def _by_http(runner: PushRunner, first: dict[str, Any]) -> None:
    """Everything the holder of attempt 1's token can say, about its attempt, none, and the other one."""
    for status in STATUSES:
        for named in ({"attempt": 1}, {}):
            answer = runner.say(first, status, runner_id="one", **named)
            assert answer.status_code in {200, 409}, answer.text
        assert runner.say(first, status, runner_id="two", attempt=2).status_code in {401, 422}


async def _by_nats(up: Up, first: dict[str, Any]) -> list[str]:
    """The same as a guest on NATS; why each of them that was kept as a dead letter could not be used."""
    guest = await connect(up.nats_url)
    password = (up.data_dir / "nats-password").read_text().strip()
    control = await connect(up.nats_url, user="towpath", password=password)
    try:
        for status in STATUSES:
            for named in ({"attempt": 1}, {}, {"attempt": 2}):
                await guest.publish(
                    f"towpath.report.{first['task_id']}",
                    json.dumps({"status": status, "runner_id": "one", **named}).encode(),
                    headers={"X-Runner-Token": first["status_callback_token"]},
                )
        await guest.flush()

        async def settled() -> bool:
            return (await control.jetstream().stream_info("TOWPATH_REPORT")).state.messages == 0

        await eventually(settled, DEADLINE)
        return await _dead_letters(control)
    finally:
        await guest.close()
        await control.close()


async def _dead_letters(control: Client) -> list[str]:
    js = control.jetstream()
    state = (await js.stream_info("TOWPATH_DEAD")).state
    messages = [await js.get_msg("TOWPATH_DEAD", seq) for seq in range(1, state.last_seq + 1)]
    return [(message.headers or {}).get("towpath-reason", "") for message in messages]
