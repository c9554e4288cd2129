"""Time travel, why, and the filters of the log: what was then, and what is now, in the words of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.log.record import Recorded
from tests.unit.api.api_harness import ApiHarness, new_id, problem

DATE = "2026-03-01T12:00:00Z"


def at_of(harness: ApiHarness, event: str, task_id: str | None = None) -> Recorded:
    """The last event of this name, of this task if one is named."""
    return next(
        one for one in reversed(harness.log.events) if one.event == event and task_id in (None, one.task_id)
    )


async def contended(harness: ApiHarness) -> tuple[str, str]:
    """A task that held, failed and gave back its lock, and one that waited behind it and runs now."""
    await harness.register()
    first = await harness.dispatched(workspace="acme", title="first", lock_paths=["src"])
    harness.clock.at += timedelta(minutes=1)
    second = await harness.dispatched(workspace="acme", title="second", lock_paths=["src/api"])
    harness.clock.at += timedelta(minutes=1)
    await harness.report(first["id"], "running", runner_id="r1")
    harness.clock.at += timedelta(minutes=1)
    await harness.report(first["id"], "failed", exit_code=3, message="disk full", runner_id="r1")
    await harness.until("granted", 2)
    await harness.report(second["id"], "running", runner_id="r2")
    return first["id"], second["id"]


async def get(harness: ApiHarness, url: str, **params: Any) -> Any:
    answer = await harness.http.get(url, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_task_as_it_was(harness: ApiHarness) -> None:
    first, second = await contended(harness)
    waited = at_of(harness, "dispatched", second).seq
    then = await get(harness, f"/tasks/{second}", at=waited)
    assert (then["status"], then["seq"], then["version"]) == ("dispatched", waited, 2)
    assert then["lock"]["state"] == "waiting"
    assert then["lock"]["blocked_by"] == [first]
    held = await get(harness, f"/tasks/{first}", at=at_of(harness, "running", first).seq)
    assert (held["status"], held["lock"]["state"], held["runner_id"]) == ("running", "held", "r1")
    ended = await get(harness, f"/tasks/{first}", at=at_of(harness, "running", second).seq)
    assert ended["status"] == "failed"
    assert ended["lock"]["state"] == "released"
    assert ended["lock"]["token"] == held["lock"]["token"]
    assert (await get(harness, f"/tasks/{second}", at=len(harness.log.events)))["lock"]["state"] == "held"


async def test_locks_as_they_were(harness: ApiHarness) -> None:
    first, second = await contended(harness)
    (entry,) = (await get(harness, "/locks", at=at_of(harness, "running", first).seq))["items"]
    assert [one["task_id"] for one in entry["holders"]] == [first]
    assert [(one["task_id"], one["blocked_by"]) for one in entry["waiters"]] == [(second, [first])]
    assert (await get(harness, "/locks", at=1))["items"] == []
    (now,) = (await get(harness, "/locks", at=len(harness.log.events)))["items"]
    assert [one["task_id"] for one in now["holders"]] == [second]
    one = await get(harness, "/workspaces/acme/locks", at=at_of(harness, "granted", first).seq)
    assert [holder["task_id"] for holder in one["holders"]] == [first]


async def test_a_time_means_the_last_event_that_was_stored_by_then(harness: ApiHarness) -> None:
    first, second = await contended(harness)
    (entry,) = (await get(harness, "/locks", at="2026-03-01T12:02:30Z"))["items"]
    assert [one["task_id"] for one in entry["holders"]] == [first]
    assert (await get(harness, f"/tasks/{first}", at="2026-03-01T13:01:30+01:00"))["status"] == "dispatched"
    assert (await get(harness, "/locks", at="2026-03-01T11:59:59Z"))["items"] == []
    assert (await harness.http.get(f"/tasks/{second}", params={"at": DATE})).status_code == 404


@pytest.mark.parametrize("at", ["999", "2999-01-01T00:00:00Z"])
async def test_what_has_not_come_yet_cannot_be_asked_for(harness: ApiHarness, at: str) -> None:
    first, _ = await contended(harness)
    for url in (f"/tasks/{first}", "/locks", "/workspaces/acme/locks"):
        problem(await harness.http.get(url, params={"at": at}), 404, "beyond-the-log")


@pytest.mark.parametrize("at", ["-1", "soon", "2026-03-01T12:00:00", "9999-12-31T23:59:59-12:00"])
async def test_what_is_no_moment_is_refused(harness: ApiHarness, at: str) -> None:
    refused = problem(await harness.http.get("/locks", params={"at": at}), 422, "invalid-request")
    (error,) = refused["errors"]
    assert error["loc"] == "query.at"
    assert "a sequence" in error["msg"]


async def test_why_a_task_is_where_it_is(harness: ApiHarness) -> None:
    created = await harness.create(title="idle")
    why = await get(harness, f"/tasks/{created['id']}/why")
    assert why["stage"] == "not-dispatched"
    await harness.register()
    first = await harness.dispatched(workspace="acme", title="first", lock_paths=["src"])
    second = await harness.dispatched(workspace="acme", title="second", lock_paths=["src/api"])
    third = await harness.dispatched(workspace="acme", title="third", lock_paths=["src/api"])
    why = await get(harness, f"/tasks/{first['id']}/why")
    assert why["stage"] == "waits-for-runner"
    assert why["sentence"] == (
        f"first ({first['id']}) waits for a runner of pool default to take it, since 2026-03-01 12:00:00Z, "
        f"holding src in acme with token {first['lock']['token']}."
    )
    await harness.report(first["id"], "running", runner_id="r1")
    assert await harness.parts.view.caught_up(len(harness.log.events))
    why = await get(harness, f"/tasks/{second['id']}/why")
    assert why["stage"] == "waits-for-lock"
    assert [one["task_id"] for one in why["blocked_by"]] == [first["id"]]
    assert why["sentence"] == (
        f"second ({second['id']}) waits for src/api in acme since 2026-03-01 12:00:00Z: "
        f"first ({first['id']}) on r1 has held src since 2026-03-01 12:00:00Z."
    )
    why = await get(harness, f"/tasks/{third['id']}/why")
    assert [one["holds"] for one in why["blocked_by"]] == [True, False]
    assert why["sentence"].endswith(", and 1 more is before it.")
    running = await get(harness, f"/tasks/{first['id']}/why")
    assert running["sentence"].startswith(f"first ({first['id']}) has been running on r1 since ")
    await harness.http.post(f"/tasks/{first['id']}/cancel")
    running = await get(harness, f"/tasks/{first['id']}/why")
    assert "; someone (open API) asked it to stop at" in running["sentence"]
    await harness.report(first["id"], "failed", exit_code=3, message="disk full", runner_id="r1")
    ended = await get(harness, f"/tasks/{first['id']}/why")
    assert (ended["stage"], ended["event"]["event"], ended["event"]["actor"]) == (
        "ended",
        "failed",
        "runner:r1",
    )
    assert ended["sentence"] == (
        f"first ({first['id']}) failed at 2026-03-01 12:00:00Z (exit code 3, disk full): said by runner:r1, "
        f"event {ended['event']['seq']}."
    )
    problem(await harness.http.get(f"/tasks/{new_id()}/why"), 404, "no-such-task")


async def test_why_a_task_was_canceled_names_who_asked_for_it(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.report(task["id"], "running", runner_id="r1")
    await harness.http.post(f"/tasks/{task['id']}/cancel", json={"reason": "no longer wanted"})
    asked = len(harness.log.events)
    await harness.report(task["id"], "canceled", runner_id="r1")
    why = await get(harness, f"/tasks/{task['id']}/why")
    said = f": said by runner:r1, event {asked + 1}; "
    wanted = f"someone (open API) asked for it at 2026-03-01 12:00:00Z (no longer wanted), event {asked}."
    assert why["sentence"].endswith(said + wanted)
    await harness.http.post(f"/tasks/{task['id']}/dispatch")
    await harness.http.post(f"/tasks/{task['id']}/cancel")
    why = await get(harness, f"/tasks/{task['id']}/why")
    said = f": said by someone (open API), event {len(harness.log.events)}."
    assert why["sentence"].endswith(said), "of this attempt"


async def names(harness: ApiHarness, url: str, **params: Any) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await get(harness, url, **params, **({"cursor": cursor} if cursor else {}))
        found += [one["event"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_the_log_by_a_runner_as_tables_show_it(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.report(task["id"], "running", runner_id="host-lock-0123abcd" + "0" * 24)
    assert await names(harness, "/events", actor="runner:host-lock-0123abcd") == ["running"]
    assert await names(harness, "/events", actor="runner:host-lock-0123abce") == []


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_the_log_by_actor_and_time(harness: ApiHarness, limit: int) -> None:
    first, second = await contended(harness)
    assert await names(harness, "/events", actor="runner:r1", limit=limit) == ["running", "failed"]
    assert await names(harness, "/events", actor="runner", limit=limit) == ["running", "failed", "running"]
    assert await names(harness, "/events", actor="run", limit=limit) == []
    assert await names(harness, f"/tasks/{second}/events", actor="runner", limit=limit) == ["running"]
    assert await names(harness, f"/tasks/{first}/events", event="granted", limit=limit) == ["granted"]
    lock = {"workspace": "acme", "event": "granted", "limit": limit}
    assert await names(harness, "/events", **lock) == ["granted", "granted"]
    late = {"from": "2026-03-01T12:02:00Z", "to": "2026-03-01T12:02:00Z", "limit": limit}
    assert await names(harness, "/events", **late) == ["running"]
    assert await names(harness, f"/tasks/{first}/events", **late) == ["running"]
    some = await names(harness, "/events", **{"from": 3, "to": 5, "limit": limit})
    assert some == harness.events()[2:5]
    assert (
        await names(harness, "/events", **{"from": 3, "to": 5, "workspace": "acme", "limit": limit}) == some
    )
    assert await names(harness, "/events", **{"from": 99, "limit": limit}) == []


async def test_why_at_a_position_is_what_why_said_then(harness: ApiHarness) -> None:
    said: dict[int, dict[str, Any]] = {}
    await harness.register()
    first = await harness.dispatched(workspace="acme", title="first", lock_paths=["src"])
    await harness.until("granted")
    second = await harness.dispatched(workspace="acme", title="second", lock_paths=["src/api"])

    async def note() -> None:
        end = len(harness.log.events)
        assert await harness.parts.view.caught_up(end)
        said[end] = {one["id"]: await get(harness, f"/tasks/{one['id']}/why") for one in (first, second)}

    await note()
    harness.clock.at += timedelta(minutes=1)
    await harness.report(first["id"], "queued", attempt=1)
    await note()
    await harness.report(first["id"], "running", attempt=1)
    await note()
    await harness.http.post(f"/tasks/{first['id']}/cancel", json={"reason": "enough"})
    await note()
    await harness.report(first["id"], "canceled", attempt=1)
    await harness.until("granted", 2)
    await note()
    await harness.report(second["id"], "running", attempt=1)
    await harness.report(second["id"], "failed", exit_code=1, attempt=1)
    await harness.until("released", 2)
    await note()
    for seq, whys in said.items():
        for task_id, why in whys.items():
            assert await get(harness, f"/tasks/{task_id}/why", at=seq) == why
    assert said[len(harness.log.events)][first["id"]]["sentence"].endswith(
        f", event {harness.events().index('cancel-requested') + 1}."
    )
    created = next(one.seq for one in harness.log.events if one.subject_id == second["id"])
    missing = await harness.http.get(f"/tasks/{second['id']}/why", params={"at": created - 1})
    problem(missing, 404, "no-such-task")
    problem(await harness.http.get(f"/tasks/{second['id']}/why?at=999"), 404, "beyond-the-log")


async def test_a_refused_attempt_says_so_in_the_past(harness: ApiHarness) -> None:
    await contended(harness)
    task = await harness.create(workspace="acme", on_conflict="reject", title="third")
    await harness.http.post(f"/tasks/{task['id']}/dispatch")
    await harness.until("refused")
    why = await get(harness, f"/tasks/{task['id']}/why", at=at_of(harness, "refused").seq)
    assert "was refused its lock" in why["sentence"]


async def test_workspaces_as_they_were(harness: ApiHarness) -> None:
    await harness.register()
    await harness.register("zoo", "/srv/zoo")
    await harness.register("acme", "/srv/other")
    await harness.http.delete("/workspaces/zoo")
    roots = []
    for seq in range(5):
        items = (await get(harness, "/workspaces", at=seq))["items"]
        roots.append({one["id"]: one["root"] for one in items})
    assert roots == [
        {},
        {"acme": "/srv/acme"},
        {"acme": "/srv/acme", "zoo": "/srv/zoo"},
        {"acme": "/srv/other", "zoo": "/srv/zoo"},
        {"acme": "/srv/other"},
    ]
    assert (await get(harness, "/workspaces", at=4)) == (await get(harness, "/workspaces"))
    paged = await get(harness, "/workspaces", at=2, limit=1)
    assert [one["id"] for one in paged["items"]] == ["acme"]
    rest = await get(harness, "/workspaces", at=2, limit=1, cursor=paged["next_cursor"])
    assert [one["id"] for one in rest["items"]] == ["zoo"]
    problem(await harness.http.get("/workspaces?at=9"), 404, "beyond-the-log")
