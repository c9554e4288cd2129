"""Messages between a control plane of this version and a runner of the one before, in both directions.

The golden file has them as that version wrote them. It is not renewed: a change that these tests do not allow
needs a version of the message.
"""

from __future__ import annotations

import json
from typing import Any

from domain.protocol import Accepted, Submission
from tests.support.repository import REPO
from tests.unit.api.api_harness import ApiHarness

OLDER = [json.loads(line) for line in (REPO / "tests/golden/messages.v1.jsonl").read_text().splitlines()]
ADDED = {"api_url", "job_token"}
"""What a submission has besides: a runner may ignore it."""


def older(kind: str) -> list[dict[str, Any]]:
    return [one["body"] for one in OLDER if one["kind"] == kind]


async def test_an_older_runners_messages_carry_an_attempt_to_its_end(harness: ApiHarness) -> None:
    task_id = (await harness.dispatched())["id"]
    [beat] = older("heartbeat")
    listed = {**beat, "held": [{"task_id": task_id, "attempt": 1}]}
    for said in older("report"):
        answer = await harness.http.post("/runner/heartbeat", json=listed)
        assert (answer.status_code, answer.json()["lease_seconds"]) == (200, 15)
        assert answer.json()["wanted"] == [{"task_id": task_id, "attempt": 1, "wanted": "run"}]
        listed["counter"] += 1
        answer = await harness.http.post(f"/runner/tasks/{task_id}/status", json=said)
        assert (answer.status_code, answer.json()["status"]) == (200, said["status"])
    shown = ("attempt", "runner_id", "exit_code", "reason", "message", "output_tail")
    assert {name: answer.json()[name] for name in shown} == {name: said[name] for name in shown}
    gone = await harness.http.post("/runner/heartbeat", json={**listed, "held": []})
    assert gone.json()["wanted"] == []
    runner = (await harness.http.get("/runners")).json()["items"][0]
    assert (runner["id"], runner["state"]) == ("host-1", "alive")


def test_an_older_acceptance_names_its_runner() -> None:
    [body] = older("accepted")
    assert Accepted.model_validate(body).model_dump() == body


def test_a_submission_says_to_an_older_runner_what_it_said_before() -> None:
    [body] = older("submission")
    today = Submission.model_validate(body)
    said = json.loads(today.model_dump_json())
    assert {name: said[name] for name in body} == body
    assert said.keys() - body.keys() == ADDED


def test_a_runner_takes_an_older_submission_whose_job_cannot_ask() -> None:
    [body] = older("submission")
    taken = Submission.model_validate(body)
    assert (taken.timeout_pauses, taken.api_url, taken.job_token) == (False, None, None)
    assert taken.secret_values == ["x", "1.41.abc"]
