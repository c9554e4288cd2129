"""Retries over HTTP: what is asked for, what is shown between two attempts, and how a cancel ends them."""

from __future__ import annotations

from typing import Any

import pytest

from domain.task.retries import ACTOR
from tests.support.waiting import eventually
from tests.unit.api.api_harness import ApiHarness, problem

RETRY = {"max_attempts": 3, "backoff_seconds": 60, "on": ["exit"]}


async def _failed(harness: ApiHarness, **body: Any) -> dict[str, Any]:
    task = await harness.dispatched(**{"retry": RETRY, **body})
    await harness.report(task["id"], "running", attempt=task["attempt"])
    await harness.report(task["id"], "failed", attempt=task["attempt"], exit_code=2)
    found: dict[str, Any] = (await harness.http.get(f"/tasks/{task['id']}")).json()
    return found


async def _why(harness: ApiHarness, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await harness.http.get(f"/tasks/{task_id}/why")).json()
    return found


async def test_a_task_between_two_attempts_shows_which_one_is_next(harness: ApiHarness) -> None:
    task = await _failed(harness)
    assert (task["status"], task["attempt"], task["retry"]) == (
        "failed",
        1,
        {**RETRY, "backoff_seconds": 60.0},
    )
    assert task["next_attempt_at"] > task["finished_at"]
    why = await _why(harness, task["id"])
    assert why["stage"] == "waits-to-retry"
    day, time = task["next_attempt_at"][:19].split("T")
    assert f"attempt 2 of 3 is next, at {day} {time}Z" in why["sentence"]
    past = (await harness.http.get(f"/tasks/{task['id']}", params={"at": task["seq"] - 1})).json()
    assert (past["status"], past["next_attempt_at"]) == ("running", None)
    past = (await harness.http.get(f"/tasks/{task['id']}", params={"at": task["seq"]})).json()
    assert past["next_attempt_at"] == task["next_attempt_at"]


async def test_a_cancel_between_them_ends_the_retries_and_says_who_did(harness: ApiHarness) -> None:
    task = await _failed(harness)
    for _ in range(2):
        answer = await harness.http.post(f"/tasks/{task['id']}/cancel", json={"reason": "enough"})
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["next_attempt_at"]) == ("failed", None)
    why = await _why(harness, task["id"])
    assert why["stage"] == "ended"
    assert "failed at" in why["sentence"]
    assert "asked it to stop at" in why["sentence"]
    assert "(enough)" in why["sentence"]


async def test_an_attempt_by_hand_comes_before_the_retry(harness: ApiHarness) -> None:
    task = await _failed(harness)
    assert (await harness.http.post(f"/tasks/{task['id']}/dispatch")).json()["attempt"] == 2
    await harness.parts.commands.retry(task["id"], 1, ACTOR)
    now = (await harness.http.get(f"/tasks/{task['id']}")).json()
    assert (now["attempt"], now["status"]) == (2, "dispatched")


async def test_retries_are_counted(harness: ApiHarness) -> None:
    task = await _failed(harness)
    await harness.parts.commands.retry(task["id"], 1, ACTOR)
    await harness.until("dispatched", 2)

    async def counted() -> bool:
        return "towpath_retries_total 1.0" in (await harness.http.get("/metrics")).text

    await eventually(counted)


async def test_the_same_task_again_is_the_one_that_is_there(harness: ApiHarness) -> None:
    task = await _failed(harness)
    body = {"id": task["id"], "command": task["command"], "title": task["title"]}
    again = await harness.http.post("/tasks", json={**body, "retry": RETRY})
    assert again.status_code == 200
    problem(await harness.http.post("/tasks", json=body), 409, "id-taken")


@pytest.mark.parametrize(
    "wrong", [{}, {"max_attempts": 1}, {"max_attempts": 3, "on": ["killed"]}, {"max_attempts": 3, "x": 1}]
)
async def test_a_policy_that_means_nothing_is_refused(harness: ApiHarness, wrong: dict[str, Any]) -> None:
    problem(
        await harness.http.post("/tasks", json={"command": ["true"], "retry": wrong}), 422, "invalid-request"
    )
