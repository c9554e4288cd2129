"""What needs a person: the sentences, what they name, and links that answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.protocol import Heartbeat
from domain.services.task_findings import TaskFindings
from tests.unit.api.api_harness import ApiHarness, new_id
from tests.unit.api.queries.figures.test_overview import SHARED, overview


async def needed(harness: ApiHarness) -> list[dict[str, Any]]:
    """All that needs a person; every link must answer."""
    found: list[dict[str, Any]] = (await overview(harness))["attention"]
    for one in found:
        answer = await harness.http.get(one["link"])
        assert answer.status_code == 200, (one["link"], answer.text)
    return found


async def beat(harness: ApiHarness, runner_id: str, counter: int = 1, **more: Any) -> None:
    fields = {"pools": ["default"], "host": "h", "capacity": 4, "held": [], **more}
    await harness.parts.heartbeats.publish(Heartbeat(runner_id=runner_id, counter=counter, **fields))


async def test_a_lost_runner_that_holds_a_lock_and_who_waits_for_it(harness: ApiHarness) -> None:
    await harness.register()
    held = await harness.dispatched(**SHARED, title="build", lock_paths=["src"])
    waits = await harness.dispatched(**SHARED, title="test", lock_paths=["src/api"])
    await harness.report(held["id"], "running", runner_id="host-7")
    await harness.until("running")
    await beat(harness, "host-7")
    harness.clock.at += timedelta(seconds=19)
    assert await needed(harness) == []
    harness.clock.at += timedelta(minutes=7)
    lost, long = await needed(harness)
    token = lost.pop("sentence").rpartition(" ")[2]
    assert (await harness.http.get(f"/tasks/{held['id']}")).json()["lock"]["token"] == int(token)
    assert lost == {
        "kind": "lost-runner-holds-lock",
        "link": "/workspaces/acme/locks",
        "since": "2026-03-01T12:00:00Z",
        "number": 1,
        "task_id": held["id"],
        "workspace": "acme",
        "runner_id": "host-7",
    }
    assert long["sentence"] == "test has waited 7 min for acme:src/api behind build"
    assert (long["kind"], long["task_id"], long["link"]) == (
        "long-wait",
        waits["id"],
        f"/tasks/{waits['id']}/why",
    )


async def test_a_cancel_that_is_not_confirmed(harness: ApiHarness) -> None:
    task = await harness.dispatched(title="build")
    await harness.report(task["id"], "running", runner_id="host-7")
    await harness.http.post(f"/tasks/{task['id']}/cancel")
    harness.clock.at += timedelta(seconds=59)
    assert await needed(harness) == []
    harness.clock.at += timedelta(seconds=31)
    (one,) = await needed(harness)
    assert one["sentence"] == "host-7 was asked 90 s ago to stop build and has not confirmed it"
    assert (one["kind"], one["task_id"]) == ("cancel-not-confirmed", task["id"])


@pytest.mark.parametrize(
    ("runners", "sentence"),
    [
        (["a"], "1 failure in the last hour, on a: lint"),
        (["a", "b", "a"], "3 failures in the last hour, 2 of them on a: lint"),
        (["a", "b"], "2 failures in the last hour: lint"),
        (["a"] * 4, "4 failures in the last hour, on a: lint, …"),
    ],
)
async def test_failures_of_the_last_hour(harness: ApiHarness, runners: list[str], sentence: str) -> None:
    for runner in runners:
        task = await harness.dispatched(title="lint")
        await harness.report(task["id"], "running", runner_id=runner)
        await harness.report(task["id"], "failed", exit_code=1, runner_id=runner)
    (one,) = await needed(harness)
    assert (one["kind"], one["sentence"], one["number"]) == ("failures", sentence, len(runners))
    assert len((await harness.http.get(one["link"])).json()["items"]) == len(runners)
    harness.clock.at += timedelta(minutes=61)
    assert await needed(harness) == []


async def test_what_was_refused_or_stopped_on_request_is_no_failure_that_needs_somebody(
    harness: ApiHarness,
) -> None:
    await harness.register()
    await harness.dispatched(**SHARED, title="build")
    refused = await harness.create(**SHARED, on_conflict="reject", title="try")
    await harness.http.post(f"/tasks/{refused['id']}/dispatch")
    stopped = await harness.dispatched(title="stopped")
    await harness.report(stopped["id"], "running", runner_id="a")
    await harness.http.post(f"/tasks/{stopped['id']}/cancel")
    await harness.report(stopped["id"], "failed", exit_code=1, runner_id="a")
    findings = TaskFindings(harness.parts.commands._tasks, harness.clock)
    await findings.submit_failed(refused["id"], 1, "workspace-locked", "held", "dispatch")
    assert await needed(harness) == []
    assert (await overview(harness))["failed_last_hour"] == 2
    failed = await harness.dispatched(title="lint")
    await harness.report(failed["id"], "running", runner_id="a")
    await harness.report(failed["id"], "failed", exit_code=1, runner_id="a")
    (one,) = await needed(harness)
    assert one["sentence"] == "1 failure in the last hour, on a: lint"
    assert "submit-failed" not in one["link"]
    listed = (await harness.http.get(one["link"])).json()["items"]
    assert [row["title"] for row in listed] == ["lint"], "the count and the list agree"


async def test_dead_letters_questions_and_ids_used_twice(harness: ApiHarness) -> None:
    await harness.dead.keep("report", new_id(), b"{}", "unreadable", "no JSON")
    task = await harness.dispatched(title="deploy")
    await harness.report(task["id"], "running", runner_id="r1")
    token = harness.parts.job_tokens.mint(task["id"], 1)
    asked = await harness.http.post(
        f"/runner/tasks/{task['id']}/questions",
        json={"question_id": new_id(), "text": "go on?", "choices": ["yes", "no"]},
        headers={"X-Runner-Token": token},
    )
    assert asked.is_success, asked.text
    for number in range(4):
        await beat(harness, "twice", counter=number, instance="ab"[number % 2] * 8)
    harness.clock.at += timedelta(seconds=3)
    found = await needed(harness)
    assert [one["kind"] for one in found] == ["dead-letters", "runner-conflict", "open-questions"]
    assert [one["sentence"] for one in found] == [
        "1 message could not be applied and waits for you",
        "one id is used by several runners in turn: give each runner an id of its own",
        "deploy asks, and has waited 3 s for an answer",
    ]
    assert found[-1]["link"] == f"/tasks/{task['id']}"
