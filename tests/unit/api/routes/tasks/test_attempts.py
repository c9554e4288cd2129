"""The attempts of a task over HTTP: each with its steps, what ended it, and on which page."""

from __future__ import annotations

from typing import Any

import pytest

from api.queries import event_pages
from tests.unit.api.api_harness import ApiHarness, new_id, problem

DATE = "2026-03-01T12:00:00Z"


async def listed(harness: ApiHarness, task_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """All attempts, page by page."""
    found: list[dict[str, Any]] = []
    url = f"/tasks/{task_id}/attempts?limit={limit}"
    while url:
        answer = await harness.http.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        found += page["items"]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
        assert bool(url) == (page["next_cursor"] is not None)
    return found


def seq_of(harness: ApiHarness, event: str, attempt: int) -> int:
    return next(one.seq for one in harness.log.events if (one.event, one.attempt) == (event, attempt))


async def failed_then_running(harness: ApiHarness) -> str:
    await harness.register()
    task_id: str = (await harness.create(workspace="acme", pool="gpu"))["id"]
    for attempt in (1, 2):
        await harness.http.post(f"/tasks/{task_id}/dispatch")
        await harness.until("granted", attempt)
        await harness.report(task_id, "queued", runner_id="r1", attempt=attempt)
        await harness.create()
        await harness.report(task_id, "running", runner_id="r1", attempt=attempt)
        if attempt == 1:
            await harness.report(task_id, "failed", exit_code=3, message="disk full", attempt=1)
            await harness.until("released")
    return task_id


async def test_an_earlier_attempt_keeps_its_steps_and_its_end(harness: ApiHarness) -> None:
    task_id = await failed_then_running(harness)
    first, second = await listed(harness, task_id)
    assert (first["attempt"], first["status"], first["exit_code"], first["reason"], first["message"]) == (
        1, "failed", 3, "exit", "disk full",
    )  # fmt: skip
    assert (first["pool"], first["by"], first["runner_id"]) == ("gpu", "api", "r1")
    steps = {
        "claimed": "dispatched",
        "granted": "granted",
        "queued": "queued",
        "started": "running",
        "ended": "failed",
        "released": "released",
    }
    for step, event in steps.items():
        assert first[step] == {"seq": seq_of(harness, event, 1), "at": DATE}
    assert first["token"] == first["granted"]["seq"]
    assert (first["refused"], first["cancel_requested"]) == (None, None)
    assert (second["attempt"], second["status"], second["token"]) == (2, "running", second["granted"]["seq"])
    assert (second["ended"], second["released"], second["exit_code"]) == (None, None, None)
    assert second["claimed"]["seq"] == seq_of(harness, "dispatched", 2)


async def test_a_task_without_attempts_has_an_empty_list(harness: ApiHarness) -> None:
    task = await harness.create()
    assert await listed(harness, task["id"]) == []
    await harness.http.post(f"/tasks/{task['id']}/cancel")
    assert await listed(harness, task["id"]) == []
    problem(await harness.http.get(f"/tasks/{new_id()}/attempts"), 404, "no-such-task")
    problem(await harness.http.get(f"/tasks/{task['id']}/attempts?cursor=bm9wZQ"), 422, "bad-cursor")
    problem(await harness.http.get(f"/tasks/{task['id']}/attempts?at=1"), 422, "invalid-request")


async def test_what_stopped_an_attempt_is_told_of_it(harness: ApiHarness) -> None:
    await harness.register()
    holder = await harness.dispatched(workspace="acme")
    refused = await harness.create(workspace="acme", on_conflict="reject")
    await harness.http.post(f"/tasks/{refused['id']}/dispatch")
    await harness.until("refused")
    (one,) = await listed(harness, refused["id"])
    assert one["refused"]["seq"] == seq_of(harness, "refused", 1)
    assert (one["granted"], one["token"]) == (None, None)
    await harness.report(holder["id"], "running", runner_id="r1")
    await harness.http.post(f"/tasks/{holder['id']}/cancel")
    await harness.report(holder["id"], "canceled", runner_id="r1")
    await harness.until("released")
    (one,) = await listed(harness, holder["id"])
    assert (one["status"], one["cancel_requested"]["seq"]) == (
        "canceled",
        seq_of(harness, "cancel-requested", 1),
    )


@pytest.mark.parametrize("step", [3, 500])
@pytest.mark.parametrize("behind", [None, 0])
async def test_pages_show_every_attempt_once(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, step: int, behind: int | None
) -> None:
    """A release of a page's last attempt may stand behind the dispatch of the next one."""
    monkeypatch.setattr(event_pages, "SCAN_STEP", step)
    await harness.register()
    task_id = (await harness.create(workspace="acme"))["id"]
    for attempt in (1, 2, 3, 4, 5):
        await harness.http.post(f"/tasks/{task_id}/dispatch")
        await harness.until("granted", attempt)
        await harness.report(task_id, "running", attempt=attempt)
        await harness.report(task_id, "failed", attempt=attempt, exit_code=attempt)
    await harness.until("released", 5)
    harness.read_model.behind = behind
    whole = await listed(harness, task_id)
    assert [one["exit_code"] for one in whole] == [1, 2, 3, 4, 5]
    assert all(one["released"] for one in whole)
    for limit in (1, 2, 4, 5):
        assert await listed(harness, task_id, limit) == whole
