"""The callback gateway over HTTP: what it records, what it refuses, and who may report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.config import ApiConfig
from domain.errors import Busy
from tests.unit.api.api_harness import ApiHarness, api_harness, new_id, problem

FULL: dict[str, Any] = {
    "attempt": 1,
    "runner_id": "r1",
    "message": "done",
    "exit_code": 3,
    "reason": "exit",
    "finished_at": "2026-03-01T12:00:01+02:00",
    "output_tail": "…\n",
}


async def test_a_report_is_recorded_and_answered_with_the_task(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    answer = await harness.report(task["id"], "failed", **FULL)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    read = answer.json()
    assert (read["status"], read["exit_code"], read["runner_id"], read["seq"]) == ("failed", 3, "r1", 3)
    assert read["finished_at"] == "2026-03-01T10:00:01Z"
    assert read == (await harness.http.get(f"/tasks/{task['id']}")).json()
    assert harness.log.events[-1].actor == "runner:r1"


async def test_duplicates_and_late_reports_answer_the_task_and_record_nothing(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    for status in ("running", "running", "queued", "success", "succeeded", "queued"):
        assert (await harness.report(task["id"], status)).status_code == 200
    assert harness.events() == ["created", "dispatched", "running", "succeeded"]


async def test_a_conflicting_end_is_refused_and_kept(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.report(task["id"], "succeeded")
    body = problem(await harness.report(task["id"], "failed", exit_code=1), 409, "conflicting-end")
    assert body["attempt"] == 1
    [(kind, task_id, kept, code, _)] = harness.dead.kept
    assert (kind, task_id, code) == ("report", task["id"], "conflicting-end")
    assert json.loads(kept)["status"] == "failed"


async def test_a_conflicting_end_that_cannot_be_kept_may_come_again(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.report(task["id"], "succeeded")
    harness.dead.trouble = Busy("log-unreachable", "no acknowledgement")
    problem(await harness.report(task["id"], "failed", exit_code=1), 503, "log-unreachable")
    harness.dead.trouble = None
    problem(await harness.report(task["id"], "failed", exit_code=1), 409, "conflicting-end")


async def test_other_refusals_are_not_kept(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    problem(await harness.report(task["id"], "running", attempt=2), 409, "unknown-attempt")
    await harness.report(task["id"], "running", runner_id="r1")
    problem(await harness.report(task["id"], "succeeded", runner_id="r2"), 409, "not-your-attempt")
    created = await harness.create()
    problem(await harness.report(created["id"], "running"), 409, "not-dispatched")
    assert harness.dead.kept == []


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"status": "done"}, {"status": 1}, {"status": "running", "attempt": 0},
        {"status": "running", "attempt": 10**30}, {"status": "running", "runner_id": "a.b"},
        {"status": "failed", "runner_id": 7, "message": "x" * 2001},
    ],
    ids=str,
)  # fmt: skip
async def test_a_report_that_makes_no_sense_is_refused(harness: ApiHarness, body: Any) -> None:
    task = await harness.dispatched()
    answer = await harness.http.post(f"/runner/tasks/{task['id']}/status", json=body)
    found = problem(answer, answer.status_code, answer.json()["code"])
    assert (found["status"], found["code"]) in [(422, "invalid-request"), (409, "unknown-attempt")]
    assert harness.events() == ["created", "dispatched"]


async def test_a_shared_workspace_takes_reports_once_granted(harness: ApiHarness) -> None:
    await harness.register()
    shared = {"workspace": "acme"}
    first, second = await harness.dispatched(**shared), await harness.dispatched(**shared)
    assert (await harness.report(first["id"], "running")).json()["lock"]["state"] == "held"
    problem(await harness.report(second["id"], "running"), 409, "not-granted")
    await harness.report(first["id"], "succeeded")
    await harness.until("granted", 2)
    assert (await harness.report(second["id"], "running")).status_code == 200


async def test_an_attempt_token_says_which_attempt_reports(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.report(task["id"], "failed")
    await harness.http.post(f"/tasks/{task['id']}/dispatch")
    problem(await harness.report(task["id"], "running"), 409, "attempt-required")
    first, second = (harness.tokens.mint(task["id"], attempt, 0) for attempt in (1, 2))
    problem(await harness.report(task["id"], "running", first), 409, "stale-attempt")
    problem(await harness.report(task["id"], "running", second, attempt=1), 422, "wrong-token")
    assert (await harness.report(task["id"], "running", second)).json()["attempt"] == 2


async def test_without_a_configured_token_a_wrong_one_is_still_refused(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    other = harness.tokens.mint(new_id(), 1, 0)
    for token in ("x", "", "1.0.ff", "é", other):
        answer = await harness.http.post(
            f"/runner/tasks/{task['id']}/status",
            json={"status": "running"},
            headers=[(b"X-Runner-Token", token.encode())],
        )
        problem(answer, 401, "unauthorised")
    assert (await harness.report(task["id"], "running")).status_code == 200


async def test_with_a_configured_token_it_or_the_attempts_own_is_needed() -> None:
    async with api_harness(ApiConfig(callback_token="hush")) as harness:
        task = await harness.dispatched()
        problem(await harness.report(task["id"], "running"), 401, "unauthorised")
        problem(await harness.report(task["id"], "running", "hus"), 401, "unauthorised")
        problem(await harness.report(new_id(), "running", "hus"), 401, "unauthorised")
        assert (await harness.report(task["id"], "running", "hush")).status_code == 200
        own = harness.tokens.mint(task["id"], 1, 0)
        assert (await harness.report(task["id"], "succeeded", own)).status_code == 200


async def test_a_callers_trace_is_stored_with_the_event(harness: ApiHarness) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for given, stored in ((trace, trace), ("nonsense", None)):
        answer = await harness.http.post("/tasks", json={"command": ["x"]}, headers={"traceparent": given})
        assert answer.status_code == 201
        assert harness.log.events[-1].traceparent == stored
