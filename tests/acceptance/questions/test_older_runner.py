"""A runner that knows nothing of questions, as one of an older version, beside a control plane that does."""

from __future__ import annotations

import sys

from tests.acceptance.jobs import resisting
from tests.support.documents.examples import EXAMPLES, running
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import eventually


async def test_it_goes_on_through_a_question_and_still_hears_of_a_cancel(up: Up) -> None:
    """It reads `asked` and `answered` as the task's last events; its job gets no token and goes on."""
    root = up.workspace("older")
    claim = {"pool": "older", "workspace": "older"}
    password = (up.data_dir / "nats-runner-password").read_text()
    env = {"NATS_URL": up.nats_url, "NATS_USER": "runner", "NATS_PASSWORD": password}
    with running(up, sys.executable, EXAMPLES / "nats_runner.py", "older", "older-1", **env):
        shown = up.create(["sh", "-c", "echo token ${TOWPATH_JOB_TOKEN-none}"], **claim)
        assert (await eventually(lambda: up.ended(shown), DEADLINE))["output_tail"] == "token none\n"
        task_id = up.create(resisting("older"), **claim)
        await eventually(lambda: (root / "older.log").exists(), DEADLINE)
        for question_id in ("q1", "q2"):
            question = {
                "question_id": question_id,
                "text": "Go on?",
                "choices": ["yes"],
                "runner_id": "older-1",
            }
            up.post(f"/runner/tasks/{task_id}/questions", question)
            if question_id == "q1":
                up.post(f"/tasks/{task_id}/questions/q1/answer", {"choice": "yes"})
        written = (root / "older.log").stat().st_size
        await eventually(lambda: (root / "older.log").stat().st_size > written, DEADLINE)
        assert up.task(task_id)["question"]["question_id"] == "q2"
        up.post(f"/tasks/{task_id}/cancel")
        assert (await eventually(lambda: up.ended(task_id), DEADLINE))["status"] == "canceled"
        (canceled,) = up.events(task_id=task_id, event="canceled")
        assert canceled["actor"] == "runner:older-1", "it had taken a question for the end"
        assert up.get(f"/tasks/{task_id}/questions/q2")["state"] == "closed"
