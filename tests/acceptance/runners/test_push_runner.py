"""A runner of somebody else's behind HOST_RUNNER_URL: accepts, refuses, is canceled, is down."""

from __future__ import annotations

from tests.support.http.push_runner import push_runner
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

CLAIM = {"workspace": "shop", "lock_paths": ["src"]}


async def test_its_reports_move_the_task_and_its_failures_leave_no_lock(home: Home) -> None:
    with push_runner() as runner:
        up = home.up(HOST_RUNNER_URL=runner.url, API_RUNNER_CALLBACK_TOKEN="shared-secret")
        root = up.workspace("shop")

        task_id = up.create(["make"], env={"WHOM": "world"}, **CLAIM)
        sent = await eventually(lambda: runner.submission(task_id), DEADLINE)
        queued = await eventually(lambda: _in(up.task(task_id), "queued"), DEADLINE)
        assert queued["runner_id"] is None
        assert (sent["command"], sent["env"], sent["attempt"]) == (["make"], {"WHOM": "world"}, 1)
        assert sent["workspace"]["root"] == str(root)
        assert sent["workspace"]["lock_token"] == up.holders()[task_id]
        assert sent["status_callback_url"] == f"{up.url}/runner/tasks/{task_id}/status"

        assert runner.say(sent, "running", token="wrong").status_code == 401
        assert runner.say(sent, "running").json()["status"] == "running"
        assert up.holders() == {task_id: sent["workspace"]["lock_token"]}
        done = runner.say(sent, "success", token="shared-secret")
        assert (done.status_code, done.json()["status"]) == (200, "succeeded")
        assert runner.say(sent, "success").status_code == 200
        assert runner.say(sent, "failed").status_code == 409
        await eventually(lambda: up.holders() == {}, DEADLINE)

        canceled = up.create(["make"], **CLAIM)
        sent = await eventually(lambda: runner.submission(canceled), DEADLINE)
        await eventually(lambda: _in(up.task(canceled), "queued"), DEADLINE)
        assert up.towpath("cancel", canceled).returncode == 0
        asked = (f"/tasks/{canceled}/cancel", {"attempt": 1})
        await eventually(lambda: asked in runner.posts, DEADLINE)
        refused = runner.say(sent, "running")
        assert (refused.status_code, refused.json()["code"]) == (409, "cancel-requested")
        assert runner.say(sent, "canceled").json()["status"] == "canceled"

        runner.answer = 422, {"detail": "not on my watch"}
        task_id = up.create(["make"], **CLAIM)
        task = await eventually(lambda: up.ended(task_id), DEADLINE)
        assert (task["status"], task["reason"]) == ("submit-failed", "rejected")
        assert "not on my watch" in task["message"]
        await eventually(lambda: up.holders() == {}, DEADLINE)

    task_id = up.create(["make"], **CLAIM)
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert (task["status"], task["reason"]) == ("submit-failed", "unreachable")
    await eventually(lambda: up.holders() == {}, DEADLINE)
    assert up.server.interrupt() == 0


def _in(task: dict, status: str) -> dict | None:
    return task if task["status"] == status else None
