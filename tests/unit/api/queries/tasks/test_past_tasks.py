"""The list of tasks as of a position: what `GET /tasks/{id}?at=` shows of each, in pages and by filter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.queries.tasks import past_tasks
from domain.runners.runner_key import runner_id_of, shown_id
from tests.unit.api.api_harness import ApiHarness, new_id, problem
from tests.unit.api.queries.test_time_travel import contended


async def walk(harness: ApiHarness, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked = {**params, **({"cursor": cursor} if cursor else {})}
        answer = await harness.http.get("/tasks", params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= params.get("limit", 50)
        found += page["items"]
        cursor = page["next_cursor"]
        assert ("next" in answer.links) == (cursor is not None)
        if cursor is None:
            return found


async def a_day(harness: ApiHarness) -> list[str]:
    """Tasks that hold, wait, run, fail, are canceled, and begin again; their ids in order."""
    first, second = await contended(harness)
    third = (await harness.create(title="third", labels={"team": "blue"}, pool="gpu"))["id"]
    harness.clock.at += timedelta(minutes=1)
    await harness.http.post(f"/tasks/{third}/cancel")
    await harness.http.post(f"/tasks/{first}/dispatch")
    await harness.report(second, "succeeded", runner_id="r2")
    await harness.until("granted", 3)
    return [first, second, third]


@pytest.mark.parametrize(("limit", "step", "examined"), [(1, 1, 1), (2, 2, 4), (50, 50, 500)])
async def test_at_every_position_each_task_is_as_it_was(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, limit: int, step: int, examined: int
) -> None:
    monkeypatch.setattr(past_tasks, "STEP", step)
    monkeypatch.setattr(past_tasks, "EXAMINED", examined)
    ids = await a_day(harness)
    created = {one.subject_id: one.seq for one in harness.log.events if one.event == "created"}
    for seq in range(len(harness.log.events) + 1):
        found = await walk(harness, at=seq, limit=limit)
        assert [one["id"] for one in found] == [one for one in reversed(ids) if created[one] <= seq]
        for one in found:
            assert one == (await harness.http.get(f"/tasks/{one['id']}", params={"at": seq})).json()
        for wanted, fits in (
            ({"status": ["dispatched", "running"]}, lambda one: one["status"] in ("dispatched", "running")),
            ({"runner": "r1"}, lambda one: one["runner_id"] == "r1"),
            ({"reason": "exit"}, lambda one: one["reason"] == "exit"),
            ({"workspace": "acme"}, lambda one: one["workspace"] == "acme"),
            ({"label": "team:blue", "pool": "gpu"}, lambda one: one["title"] == "third"),
            ({"id": ids[1][:18]}, lambda one: one["id"].startswith(ids[1][:18])),
            ({"finished_after": "2026-03-01T12:02:30Z"}, lambda one: one["finished_at"] is not None),
            ({"created_before": "2026-03-01T12:00:30Z"}, lambda one: one["title"] == "first"),
        ):
            assert await walk(harness, at=seq, limit=limit, **wanted) == [one for one in found if fits(one)]


async def test_a_shortened_id_names_a_runner(harness: ApiHarness) -> None:
    made = runner_id_of("build-7", "key.alice")
    task = await harness.dispatched(pool=made)
    await harness.report(task["id"], "running", attempt=1, runner_id=made)
    seq = len(harness.log.events)
    for name in (made, shown_id(made)):
        for wanted in ({"runner": name}, {"pool": name}):
            assert [one["id"] for one in await walk(harness, at=seq, **wanted)] == [task["id"]]


async def test_words_mean_what_they_mean_now(harness: ApiHarness) -> None:
    await harness.create(title="Äpfel ZÄHLEN")
    for words, number in (("äpfel", 0), ("zÄhlen pfel", 1)):
        assert len(await walk(harness, at=1, q=words)) == number, words


async def test_the_answer_names_its_position_and_waits_for_the_read_model(harness: ApiHarness) -> None:
    await a_day(harness)
    answer = await harness.http.get("/tasks?at=4")
    assert answer.headers["towpath-as-of"] == "4"
    at_time = await harness.http.get("/tasks?at=2026-03-01T12:00:30Z")
    assert [one["title"] for one in at_time.json()["items"]] == ["first"]
    problem(await harness.http.get("/tasks?at=999"), 404, "beyond-the-log")
    problem(await harness.http.get("/tasks?at=4&cursor=bm9wZQ"), 422, "bad-cursor")
    problem(await harness.http.get("/tasks/count?at=4"), 422, "invalid-request")
    unknown = past_tasks.encode_cursor(f'["2026-03-01T12:00:00Z","{new_id()}"]')
    assert (await harness.http.get(f"/tasks?at=4&cursor={unknown}")).json()["items"] == []
    harness.read_model.behind = 3
    problem(await harness.http.get("/tasks?at=4"), 503, "busy")
