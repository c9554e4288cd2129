"""The callback gateway over HTTP: what it records, what it refuses, and who may report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.config import ApiConfig
from domain.errors import Busy
from tests.unit.api.api_world import ApiWorld, api_world, new_id, problem

FULL: dict[str, Any] = {
    "attempt": 1,
    "runner_id": "r1",
    "message": "done",
    "exit_code": 3,
    "reason": "exit",
    "finished_at": "2026-03-01T12:00:01+02:00",
    "output_tail": "…\n",
}


async def test_a_report_is_recorded_and_answered_with_the_task(world: ApiWorld) -> None:
    task = await world.dispatched()
    answer = await world.report(task["id"], "failed", **FULL)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    read = answer.json()
    assert (read["status"], read["exit_code"], read["runner_id"], read["seq"]) == ("failed", 3, "r1", 3)
    assert read["finished_at"] == "2026-03-01T10:00:01Z"
    assert read == (await world.http.get(f"/tasks/{task['id']}")).json()
    assert world.log.events[-1].actor == "runner:r1"


async def test_duplicates_and_late_reports_answer_the_task_and_record_nothing(world: ApiWorld) -> None:
    task = await world.dispatched()
    for status in ("running", "running", "queued", "success", "succeeded", "queued"):
        assert (await world.report(task["id"], status)).status_code == 200
    assert world.events() == ["created", "dispatched", "running", "succeeded"]


async def test_a_conflicting_end_is_refused_and_kept(world: ApiWorld) -> None:
    task = await world.dispatched()
    await world.report(task["id"], "succeeded")
    body = problem(await world.report(task["id"], "failed", exit_code=1), 409, "conflicting-end")
    assert body["attempt"] == 1
    [(kind, task_id, kept, code, _)] = world.dead.kept
    assert (kind, task_id, code) == ("report", task["id"], "conflicting-end")
    assert json.loads(kept)["status"] == "failed"


async def test_a_conflicting_end_that_cannot_be_kept_may_come_again(world: ApiWorld) -> None:
    task = await world.dispatched()
    await world.report(task["id"], "succeeded")
    world.dead.trouble = Busy("log-unreachable", "no acknowledgement")
    problem(await world.report(task["id"], "failed", exit_code=1), 503, "log-unreachable")
    world.dead.trouble = None
    problem(await world.report(task["id"], "failed", exit_code=1), 409, "conflicting-end")


async def test_other_refusals_are_not_kept(world: ApiWorld) -> None:
    task = await world.dispatched()
    problem(await world.report(task["id"], "running", attempt=2), 409, "unknown-attempt")
    await world.report(task["id"], "running", runner_id="r1")
    problem(await world.report(task["id"], "succeeded", runner_id="r2"), 409, "not-your-attempt")
    created = await world.create()
    problem(await world.report(created["id"], "running"), 409, "not-dispatched")
    assert world.dead.kept == []


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"status": "done"}, {"status": 1}, {"status": "running", "attempt": 0},
        {"status": "running", "attempt": 10**30}, {"status": "running", "runner_id": "a.b"},
        {"status": "failed", "runner_id": 7, "message": "x" * 2001},
    ],
    ids=str,
)  # fmt: skip
async def test_a_report_that_makes_no_sense_is_refused(world: ApiWorld, body: Any) -> None:
    task = await world.dispatched()
    answer = await world.http.post(f"/runner/tasks/{task['id']}/status", json=body)
    found = problem(answer, answer.status_code, answer.json()["code"])
    assert (found["status"], found["code"]) in [(422, "invalid-request"), (409, "unknown-attempt")]
    assert world.events() == ["created", "dispatched"]


async def test_a_shared_workspace_takes_reports_once_granted(world: ApiWorld) -> None:
    await world.register()
    shared = {"workspace": "acme"}
    first, second = await world.dispatched(**shared), await world.dispatched(**shared)
    assert (await world.report(first["id"], "running")).json()["lock"]["state"] == "held"
    problem(await world.report(second["id"], "running"), 409, "not-granted")
    await world.report(first["id"], "succeeded")
    await world.until("granted", 2)
    assert (await world.report(second["id"], "running")).status_code == 200


async def test_an_attempt_token_says_which_attempt_reports(world: ApiWorld) -> None:
    task = await world.dispatched()
    await world.report(task["id"], "failed")
    await world.http.post(f"/tasks/{task['id']}/dispatch")
    problem(await world.report(task["id"], "running"), 409, "attempt-required")
    first, second = (world.tokens.mint(task["id"], attempt, 0) for attempt in (1, 2))
    problem(await world.report(task["id"], "running", first), 409, "stale-attempt")
    problem(await world.report(task["id"], "running", second, attempt=1), 422, "wrong-token")
    assert (await world.report(task["id"], "running", second)).json()["attempt"] == 2


async def test_without_a_configured_token_a_wrong_one_is_still_refused(world: ApiWorld) -> None:
    task = await world.dispatched()
    other = world.tokens.mint(new_id(), 1, 0)
    for token in ("x", "", "1.0.ff", "é", other):
        answer = await world.http.post(
            f"/runner/tasks/{task['id']}/status",
            json={"status": "running"},
            headers=[(b"X-Runner-Token", token.encode())],
        )
        problem(answer, 401, "unauthorised")
    assert (await world.report(task["id"], "running")).status_code == 200


async def test_with_a_configured_token_it_or_the_attempts_own_is_needed() -> None:
    async with api_world(ApiConfig(callback_token="hush")) as world:
        task = await world.dispatched()
        problem(await world.report(task["id"], "running"), 401, "unauthorised")
        problem(await world.report(task["id"], "running", "hus"), 401, "unauthorised")
        problem(await world.report(new_id(), "running", "hus"), 401, "unauthorised")
        assert (await world.report(task["id"], "running", "hush")).status_code == 200
        own = world.tokens.mint(task["id"], 1, 0)
        assert (await world.report(task["id"], "succeeded", own)).status_code == 200


async def test_a_callers_trace_is_stored_with_the_event(world: ApiWorld) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for given, stored in ((trace, trace), ("nonsense", None)):
        answer = await world.http.post("/tasks", json={"command": ["x"]}, headers={"traceparent": given})
        assert answer.status_code == 201
        assert world.log.events[-1].traceparent == stored
