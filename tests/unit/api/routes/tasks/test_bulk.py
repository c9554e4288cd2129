"""Many tasks in one request, the attempt and token that a command was decided for, and counting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.api_harness import ApiHarness, new_id, problem

SHARED = {"workspace": "acme", "execution_mode": "shared-workspace"}


async def _bulk(harness: ApiHarness, action: str, *items: tuple[str, int], **more: Any) -> list[Any]:
    body = {"action": action, "items": [{"id": one, "attempt": attempt} for one, attempt in items], **more}
    answer = await harness.http.post("/tasks/bulk", json=body)
    assert answer.status_code == 200, answer.text
    results = answer.json()["items"]
    assert [(one["id"], one["attempt"]) for one in results] == list(items), "in the order of the request"
    return [one["code"] or one["outcome"] for one in results]


async def test_each_item_of_a_bulk_cancel_is_decided_and_answered_alone(harness: ApiHarness) -> None:
    waiting, again = await harness.dispatched(), await harness.dispatched()
    running, ended = await harness.dispatched(), await harness.dispatched()
    fresh = await harness.create()
    await harness.report(running["id"], "running")
    await harness.report(ended["id"], "succeeded")
    await harness.http.post(f"/tasks/{again['id']}/cancel")
    await harness.http.post(f"/tasks/{again['id']}/dispatch")
    items = [(one["id"], 1) for one in (waiting, running, ended, again)]
    gone = new_id()
    told = await _bulk(harness, "cancel", *items, (fresh["id"], 0), (gone, 1), reason="night is over")
    assert told == ["recorded", "recorded", "already-ended", "changed", "recorded", "no-such-task"]
    assert (await harness.http.get(f"/tasks/{again['id']}")).json()["status"] == "dispatched"
    assert harness.log.events[-1].data["reason"] == "night is over"
    before = harness.events()
    assert await _bulk(harness, "cancel", *items[:2]) == ["unchanged", "unchanged"]
    assert harness.events() == before


async def test_a_bulk_dispatch_begins_each_next_attempt_once(harness: ApiHarness) -> None:
    failed = [await harness.dispatched() for _ in range(12)]
    for one in failed:
        await harness.report(one["id"], "failed")
    items = [(one["id"], 1) for one in failed]
    assert await _bulk(harness, "dispatch", *items) == ["recorded"] * 12
    assert await _bulk(harness, "dispatch", *items) == ["changed"] * 12, "sent again after a lost answer"
    assert harness.events().count("dispatched") == 24


@pytest.mark.parametrize(
    "body",
    [
        {"action": "cancel", "items": []},
        {"action": "release", "items": [{"id": "01990000-0000-7000-8000-000000000001", "attempt": 1}]},
        {"action": "cancel", "items": [{"id": "01990000-0000-7000-8000-000000000001"}]},
        {"action": "cancel", "items": [{"id": "01990000-0000-7000-8000-000000000001", "attempt": 1}] * 2},
        {"action": "cancel", "items": [{"id": f"01990000-0000-7000-8000-{n:012}", "attempt": 1}
                                       for n in range(101)]},
    ],
)  # fmt: skip
async def test_a_bulk_that_cannot_be_meant_changes_nothing(harness: ApiHarness, body: Any) -> None:
    problem(await harness.http.post("/tasks/bulk", json=body), 422, "invalid-request")
    assert harness.events() == []


async def test_a_command_about_another_attempt_is_refused(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    for verb in ("cancel", "dispatch"):
        answer = await harness.http.post(f"/tasks/{task['id']}/{verb}", json={"attempt": 0})
        assert problem(answer, 409, "changed")["attempt"] == 1
    before = harness.events()
    canceled = await harness.http.post(f"/tasks/{task['id']}/cancel", json={"attempt": 1})
    assert (canceled.status_code, canceled.json()["status"]) == (202, "canceled")
    again = await harness.http.post(f"/tasks/{task['id']}/dispatch", json={"attempt": 1})
    assert (again.status_code, again.json()["attempt"]) == (202, 2)
    assert harness.events()[len(before) :] == ["canceled", "dispatched"]


async def test_a_release_of_another_token_is_refused(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.dispatched(**SHARED)
    place, token = f"/tasks/{task['id']}/locks/release", task["lock"]["token"]
    wrong = await harness.http.post(place, json={"reason": "x", "token": token - 1})
    assert problem(wrong, 409, "changed")["token"] == token
    assert "released" not in harness.events()
    right = await harness.http.post(place, json={"reason": "x", "token": token})
    assert (right.status_code, right.json()["released_paths"]) == (200, ["."])
    gone = await harness.http.post(place, json={"reason": "x", "token": token})
    assert problem(gone, 409, "changed")["token"] is None


async def test_tasks_are_counted_under_the_filters_of_the_list(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await harness.create(labels={"team": "a", "n": str(number % 2)})
    await harness.dispatched(labels={"team": "b", "n": "0"})
    every = (await harness.http.get("/tasks/count")).json()
    assert every == {"count": 5, "capped": False, "by_status": {"created": 4, "dispatched": 1}}
    params = [("label", "team:a"), ("label", "n:1")]
    assert (await harness.http.get("/tasks/count", params=params)).json()["count"] == 2
    assert len((await harness.http.get("/tasks", params=params)).json()["items"]) == 2
    problem(await harness.http.get("/tasks/count", params={"limit": 3}), 422, "invalid-request")
    monkeypatch.setattr("api.routes.tasks.tasks.MOST_COUNTED", 3)
    capped = (await harness.http.get("/tasks/count")).json()
    assert (capped["count"], capped["capped"], sum(capped["by_status"].values())) == (3, True, 4)
