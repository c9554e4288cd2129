"""Workspaces, locks and runners over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.protocol import Heartbeat, Held
from projections.folding.void_events import VoidEvents
from tests.unit.api.api_harness import ApiHarness, new_id, problem


async def test_a_workspace_is_registered_changed_and_removed(harness: ApiHarness) -> None:
    first = await harness.http.put("/workspaces/acme", json={"root": "/srv//acme/"})
    assert first.status_code == 201
    assert first.json() == {
        "id": "acme",
        "root": "/srv/acme",
        "on_runner_lost": "fail",
        "seq": 1,
        "version": 1,
        "void": None,
    }
    same = await harness.http.put("/workspaces/acme", json={"root": "/srv/acme"})
    assert (same.status_code, same.json()) == (200, first.json())
    changed = await harness.http.put("/workspaces/acme", json={"root": "/srv/acme", "on_runner_lost": "hold"})
    assert (changed.status_code, changed.json()["on_runner_lost"], changed.json()["version"]) == (
        200,
        "hold",
        2,
    )
    assert (await harness.http.get("/workspaces/acme")).json() == changed.json()
    removed = await harness.http.delete("/workspaces/acme?reason=moved")
    assert (removed.status_code, removed.content) == (204, b"")
    assert harness.log.events[-1].data["reason"] == "moved"
    problem(await harness.http.get("/workspaces/acme"), 404, "no-such-workspace")
    problem(await harness.http.get("/workspaces/acme/locks"), 404, "no-such-workspace")
    problem(await harness.http.delete("/workspaces/acme"), 404, "no-such-workspace")


@pytest.mark.parametrize(
    "body",
    [{}, {"root": 1}, {"root": "/a\x00"}, {"root": "/a", "on_runner_lost": "x"}, {"root": "/a", "x": 1}],
)
async def test_a_registration_that_makes_no_sense_is_refused(
    harness: ApiHarness, body: dict[str, object]
) -> None:
    problem(await harness.http.put("/workspaces/acme", json=body), 422, "invalid-request")
    problem(await harness.http.put("/workspaces/acme", json={"root": "srv"}), 422, "bad-root")
    problem(await harness.http.put("/workspaces/acme", json={"root": "/srv/../etc"}), 422, "bad-root")
    assert harness.events() == []


async def test_overlapping_roots_are_a_conflict(harness: ApiHarness) -> None:
    await harness.register()
    body = problem(
        await harness.http.put("/workspaces/b", json={"root": "/srv/acme/sub"}), 409, "root-overlap"
    )
    assert body["workspace"] == "acme"


async def test_a_workspace_in_use_is_not_removed(harness: ApiHarness) -> None:
    await harness.register()
    await harness.dispatched(workspace="acme")
    problem(await harness.http.delete("/workspaces/acme"), 409, "workspace-in-use")


@pytest.mark.parametrize("root", ["/srv/moved", "/srv/acme/inside"])
async def test_a_workspace_in_use_does_not_move(harness: ApiHarness, root: str) -> None:
    await harness.register()
    await harness.dispatched(workspace="acme")
    body = problem(await harness.http.put("/workspaces/acme", json={"root": root}), 409, "workspace-in-use")
    assert (body["workspace"], body["root"]) == ("acme", "/srv/acme")
    problem(await harness.http.put("/workspaces/two", json={"root": "/srv/acme"}), 409, "root-overlap")
    changed = await harness.http.put("/workspaces/acme", json={"root": "/srv/acme", "on_runner_lost": "hold"})
    assert (changed.status_code, changed.json()["on_runner_lost"]) == (200, "hold")


async def test_a_void_registration_is_shown_beside_the_valid_one(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.create(workspace="acme")
    harness.just_before("registered", lambda: harness.parts.commands.dispatch(task["id"], "ann"))
    body = problem(
        await harness.http.put("/workspaces/acme", json={"root": "/srv/b"}), 409, "workspace-in-use"
    )
    shown = (await harness.http.get("/workspaces/acme")).json()
    assert (shown["root"], shown["seq"]) == ("/srv/acme", 1)
    void = shown["void"]
    assert (void["seq"], void["event"], void["root"], void["reason"]) == (
        body["seq"], "registered", "/srv/b", "workspace-in-use",
    )  # fmt: skip
    assert void["by"]
    assert (await harness.http.get("/workspaces")).json()["items"] == [shown]
    again = await harness.http.put("/workspaces/acme", json={"root": "/srv/acme", "on_runner_lost": "hold"})
    assert again.json()["void"] is None


async def test_a_workspace_that_was_only_registered_in_vain_is_not_found(harness: ApiHarness) -> None:
    harness.just_before("registered", lambda: harness.register("first", "/srv"))
    problem(await harness.http.put("/workspaces/second", json={"root": "/srv/a"}), 409, "root-overlap")
    body = problem(await harness.http.get("/workspaces/second"), 404, "no-such-workspace")
    assert "is void: root /srv/a overlaps /srv of workspace first" in body["detail"]


@pytest.mark.parametrize("removed", [False, True])
async def test_a_dispatch_that_comes_behind_a_move_is_a_conflict(harness: ApiHarness, removed: bool) -> None:
    await harness.register()
    task = await harness.create(workspace="acme")

    async def goes() -> None:
        if removed:
            await harness.http.delete("/workspaces/acme")
        else:
            await harness.http.put("/workspaces/acme", json={"root": "/srv/moved"})

    harness.just_before("dispatched", goes)
    body = problem(await harness.http.post(f"/tasks/{task['id']}/dispatch"), 409, "workspace-changed")
    assert (body["task_id"], body["attempt"]) == (task["id"], 1)
    where = "was not registered" if removed else "was at /srv/moved"
    assert f"dispatched under /srv/acme, but workspace acme {where} by then" in body["detail"]
    await harness.until("refused")
    refused = harness.log.events[-1].data
    assert (refused["reason"], refused["valid_root"]) == (
        "workspace-changed", None if removed else "/srv/moved",
    )  # fmt: skip
    read = (await harness.http.get(f"/tasks/{task['id']}")).json()
    assert (read["status"], read["lock"]["state"]) == ("dispatched", "none")
    why = (await harness.http.get(f"/tasks/{task['id']}/why")).json()
    assert where in why["sentence"]
    assert "/srv/acme" in why["sentence"]
    harness.parts.view._void_events = VoidEvents()  # type: ignore[attr-defined]  # as after a start
    assert (await harness.http.get(f"/tasks/{task['id']}/why")).json() == why
    dispatched = next(one.seq for one in harness.log.events if one.event == "dispatched")
    then = (await harness.http.get(f"/tasks/{task['id']}?at={dispatched}")).json()
    assert (then["status"], then["lock"]["state"]) == ("dispatched", "none")


async def test_a_refused_attempt_says_who_held_until_it_ends(harness: ApiHarness) -> None:
    await harness.register()
    holder = await harness.dispatched(workspace="acme")
    task = await harness.create(workspace="acme", on_conflict="reject")
    problem(await harness.http.post(f"/tasks/{task['id']}/dispatch"), 409, "workspace-locked")
    why = (await harness.http.get(f"/tasks/{task['id']}/why")).json()
    assert f"was refused its lock, as workspace acme is held by {holder['id']}" in why["sentence"]


async def test_a_report_on_a_void_dispatch_is_not_granted(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.create(workspace="acme")
    harness.just_before("dispatched", lambda: harness.register("acme", "/srv/moved"))
    problem(await harness.http.post(f"/tasks/{task['id']}/dispatch"), 409, "workspace-changed")
    await harness.until("refused")
    problem(await harness.report(task["id"], "running"), 409, "not-granted")


async def test_workspaces_are_listed_by_id_in_pages(harness: ApiHarness) -> None:
    for name in ("c", "a", "b"):
        await harness.register(name, f"/srv/{name}")
    first = (await harness.http.get("/workspaces?limit=2")).json()
    assert [one["id"] for one in first["items"]] == ["a", "b"]
    rest = (await harness.http.get(f"/workspaces?limit=2&cursor={first['next_cursor']}")).json()
    assert ([one["id"] for one in rest["items"]], rest["next_cursor"]) == (["c"], None)


async def test_locks_show_holders_and_waiters(harness: ApiHarness) -> None:
    await harness.register()
    assert (await harness.http.get("/locks")).json() == {"items": [], "next_cursor": None}
    empty = {"workspace": "acme", "holders": [], "waiters": []}
    assert (await harness.http.get("/workspaces/acme/locks")).json() == empty
    first = await harness.dispatched(workspace="acme", lock_paths=["src"])
    second = await harness.dispatched(workspace="acme", lock_wait_seconds=90)
    await harness.report(first["id"], "running", runner_id="r1")
    await harness.until("running")
    [entry] = (await harness.http.get("/locks")).json()["items"]
    assert entry == (await harness.http.get("/workspaces/acme/locks")).json()
    [holder], [waiter] = entry["holders"], entry["waiters"]
    assert set(holder) == {
        "task_id", "attempt", "runner_id", "paths", "mode", "token", "since", "runner_state", "lease_until"
    }  # fmt: skip
    assert (holder["runner_state"], holder["lease_until"]) == (None, None)
    assert (holder["task_id"], holder["runner_id"], holder["paths"]) == (first["id"], "r1", ["src"])
    assert set(waiter) == {
        "task_id", "attempt", "paths", "mode", "position", "blocked_by", "since", "gives_up_at"
    }  # fmt: skip
    assert (waiter["task_id"], waiter["blocked_by"]) == (second["id"], [first["id"]])
    assert waiter["gives_up_at"] == "2026-03-01T12:01:30Z"


async def test_a_holder_shows_the_lease_of_its_runner_and_in_the_past_none(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.dispatched(workspace="acme", lock_wait_seconds=90)
    await harness.report(task["id"], "running", runner_id="r1")
    await harness.until("running")
    beat = Heartbeat(runner_id="r1", pools=["default"], host="h", capacity=4, counter=1, held=[])
    await harness.parts.heartbeats.publish(beat)

    async def lease(query: str = "") -> list[tuple[str, str]]:
        found = [
            (await harness.http.get(f"/{path}{query}")).json() for path in ("locks", "workspaces/acme/locks")
        ]
        entries = [found[0]["items"][0], found[1]]
        return [(one["holders"][0]["runner_state"], one["holders"][0]["lease_until"]) for one in entries]

    assert await lease() == [("alive", "2026-03-01T12:00:15Z")] * 2
    harness.clock.at += timedelta(seconds=20)
    assert await lease() == [("lost", "2026-03-01T12:00:15Z")] * 2
    assert await lease(f"?at={len(harness.events())}") == [(None, None)] * 2


async def test_runners_are_shown_as_their_heartbeats_say(harness: ApiHarness) -> None:
    held = Held(task_id=new_id(), attempt=2)
    beat = Heartbeat(
        runner_id="r1", pools=["default"], host="h", capacity=4, counter=1, held=[held], outbox=2
    )
    await harness.parts.heartbeats.publish(beat)
    [runner] = (await harness.http.get("/runners")).json()["items"]
    assert runner == {
        "id": "r1",
        "pools": ["default"],
        "host": "h",
        "capacity": 4,
        "running_attempts": [{"task_id": held.task_id, "attempt": 2}],
        "last_heartbeat": "2026-03-01T12:00:00Z",
        "lease_until": "2026-03-01T12:00:15Z",
        "lost_at": "2026-03-01T12:00:20Z",
        "outbox": 2,
        "state": "alive",
        "awaiting_operator": [],
        "instance": None,
        "conflict": [],
    }
    harness.clock.at += timedelta(seconds=15.1)
    assert (await harness.http.get("/runners")).json()["items"][0]["state"] == "suspected"


async def test_a_page_of_locks_ends_early_where_very_many_paths_are_claimed(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.locks.workspaces.PAGE_PATHS", 5)
    for name in ("one", "two", "three"):
        await harness.register(name, f"/srv/{name}")
        await harness.dispatched(workspace=name, lock_paths=["a", "b"])
    first = (await harness.http.get("/locks")).json()
    assert [entry["workspace"] for entry in first["items"]] == ["one"]
    answer = await harness.http.get("/locks", params={"cursor": first["next_cursor"]})
    rest = answer.json()
    assert [entry["workspace"] for entry in rest["items"]] == ["three"]
    assert f"cursor={rest['next_cursor']}" in answer.headers["link"]
    last = (await harness.http.get("/locks", params={"cursor": rest["next_cursor"]})).json()
    assert [entry["workspace"] for entry in last["items"]] == ["two"]
    assert last["next_cursor"] is None


async def test_the_first_hundred_in_the_way_are_named(harness: ApiHarness) -> None:
    await harness.register()
    tasks = [await harness.dispatched(workspace="acme", lock_paths=["src"]) for _ in range(103)]
    [entry] = (await harness.http.get("/locks")).json()["items"]
    ahead = [task["id"] for task in tasks[:100]]
    assert entry["waiters"][-1]["blocked_by"] == ahead
    last = (await harness.http.get(f"/tasks/{tasks[-1]['id']}")).json()["lock"]
    assert (last["position"], last["blocked_by"]) == (102, ahead)
    why = (await harness.http.get(f"/tasks/{tasks[-1]['id']}/why")).json()
    assert [one["task_id"] for one in why["blocked_by"]] == ahead
    assert [one["holds"] for one in why["blocked_by"]] == [True] + [False] * 99
