"""Tasks over HTTP: create, look, list, dispatch, cancel, release."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from api.queries.tasks.task_rows import show_waiting
from domain.ports.read_model import TaskFilter
from domain.task.view import LockRead
from tests.unit.api.api_harness import ApiHarness, new_id, problem

SHARED = {"workspace": "acme", "execution_mode": "shared-workspace"}


async def test_a_created_task_is_answered_in_full_and_can_be_read_back(harness: ApiHarness) -> None:
    answer = await harness.http.post("/tasks", json={"command": ["make", "test"], "labels": {"team": "a"}})
    assert answer.status_code == 201
    task = answer.json()
    assert answer.headers["location"] == f"/tasks/{task['id']}"
    assert (task["status"], task["attempt"], task["seq"], task["version"]) == ("created", 0, 1, 1)
    assert task["lock"] == {"state": "none", "token": None, "since": None, "position": None, "blocked_by": []}
    assert task["created_at"].endswith("Z")
    again = await harness.http.get(f"/tasks/{task['id']}")
    assert (again.status_code, again.json()) == (200, task)


async def test_the_same_id_and_content_again_is_the_same_task(harness: ApiHarness) -> None:
    body = {"id": new_id(), "command": ["true"], "env": {"KEY": "v"}}
    first = await harness.http.post("/tasks", json=body)
    second = await harness.http.post("/tasks", json=body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    problem(await harness.http.post("/tasks", json={**body, "command": ["false"]}), 409, "id-taken")
    assert harness.events() == ["created"]


async def test_create_with_dispatch_can_be_sent_again(harness: ApiHarness) -> None:
    body = {"id": new_id(), "command": ["true"]}
    answers = [await harness.http.post("/tasks?dispatch=true", json=body) for _ in range(3)]
    assert [one.status_code for one in answers] == [201, 200, 200]
    assert {one.json()["status"] for one in answers} == {"dispatched"}
    assert harness.events() == ["created", "dispatched"]


async def test_create_with_dispatch_goes_on_where_an_earlier_try_stopped(harness: ApiHarness) -> None:
    body = {"id": new_id(), "command": ["true"]}
    await harness.http.post("/tasks", json=body)
    again = await harness.http.post("/tasks?dispatch=true", json=body)
    assert (again.status_code, again.json()["attempt"]) == (200, 1)


async def test_a_dispatch_answers_with_the_lock_it_got(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.dispatched(**SHARED)
    assert task["lock"]["state"] == "held"
    assert task["lock"]["token"] == harness.log.events[-1].seq


async def test_a_dispatch_behind_a_holder_answers_that_it_waits(harness: ApiHarness) -> None:
    await harness.register()
    first = await harness.dispatched(**SHARED)
    second = await harness.dispatched(**SHARED)
    assert second["lock"]["state"] == "waiting"
    assert (second["lock"]["position"], second["lock"]["blocked_by"]) == (1, [first["id"]])


async def test_a_rejecting_dispatch_is_a_conflict_that_names_the_holders(harness: ApiHarness) -> None:
    await harness.register()
    holder = await harness.dispatched(**SHARED)
    task = await harness.create(**SHARED, on_conflict="reject")
    body = problem(await harness.http.post(f"/tasks/{task['id']}/dispatch"), 409, "workspace-locked")
    assert [one["task_id"] for one in body["holders"]] == [holder["id"]]
    assert (body["task_id"], body["attempt"]) == (task["id"], 1)


async def test_a_second_dispatch_is_refused_and_after_an_end_begins_the_next_attempt(
    harness: ApiHarness,
) -> None:
    task = await harness.dispatched()
    problem(await harness.http.post(f"/tasks/{task['id']}/dispatch"), 409, "already-dispatched")
    await harness.report(task["id"], "failed", exit_code=1)
    again = await harness.http.post(f"/tasks/{task['id']}/dispatch")
    assert (again.status_code, again.json()["attempt"], again.json()["status"]) == (202, 2, "dispatched")


async def test_cancel_takes_a_reason_or_nothing(harness: ApiHarness) -> None:
    first, second = await harness.create(), await harness.create()
    assert (await harness.http.post(f"/tasks/{first['id']}/cancel")).status_code == 202
    answer = await harness.http.post(f"/tasks/{second['id']}/cancel", json={"reason": "not needed"})
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (
        202,
        "canceled",
        "not needed",
    )
    problem(
        await harness.http.post(f"/tasks/{second['id']}/cancel", json={"why": "x"}), 422, "invalid-request"
    )


async def test_cancel_of_a_running_task_asks_the_runner(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.report(task["id"], "running")
    answer = await harness.http.post(f"/tasks/{task['id']}/cancel")
    assert (answer.json()["status"], answer.json()["cancel_requested"]) == ("running", True)


async def test_a_release_by_hand_says_what_it_freed_and_whether_a_process_may_run(
    harness: ApiHarness,
) -> None:
    await harness.register()
    task = await harness.dispatched(**SHARED, lock_paths=["src", "docs"])
    await harness.report(task["id"], "running")
    answer = await harness.http.post(f"/tasks/{task['id']}/locks/release", json={"reason": "host gone"})
    assert answer.status_code == 200
    assert answer.json() == {
        "task_id": task["id"],
        "released_paths": ["docs", "src"],
        "process_may_run": True,
    }
    again = await harness.http.post(f"/tasks/{task['id']}/locks/release", json={"reason": "host gone"})
    assert (again.status_code, again.json()["released_paths"]) == (200, [])
    assert again.json()["process_may_run"], "it still may, whoever asks again"
    assert harness.events().count("released") == 1
    await harness.report(task["id"], "canceled")
    over = await harness.http.post(f"/tasks/{task['id']}/locks/release", json={"reason": "host gone"})
    assert (over.json()["released_paths"], over.json()["process_may_run"]) == ([], False)


async def test_a_release_of_the_whole_workspace_is_shown_as_a_dot(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.dispatched(**SHARED)
    answer = await harness.http.post(f"/tasks/{task['id']}/locks/release", json={"reason": "x"})
    assert (answer.json()["released_paths"], answer.json()["process_may_run"]) == (["."], False)


async def test_a_release_of_nothing_records_nothing(harness: ApiHarness) -> None:
    task = await harness.create()
    answer = await harness.http.post(f"/tasks/{task['id']}/locks/release", json={"reason": "x"})
    assert answer.json() == {"task_id": task["id"], "released_paths": [], "process_may_run": False}
    for reason in ("", "   "):
        bad = await harness.http.post(f"/tasks/{task['id']}/locks/release", json={"reason": reason})
        problem(bad, 422, "invalid-request")
    problem(await harness.http.post(f"/tasks/{task['id']}/locks/release"), 422, "invalid-request")
    assert harness.events() == ["created"]


async def test_lists_are_paged_with_a_link_to_the_next_page(harness: ApiHarness) -> None:
    ids = [(await harness.create(pool="gpu", labels={"n": str(number)}))["id"] for number in range(5)]
    seen: list[str] = []
    url: str | None = "/tasks?limit=2&pool=gpu"
    while url:
        answer = await harness.http.get(url)
        assert answer.status_code == 200, answer.text
        seen += [one["id"] for one in answer.json()["items"]]
        link = answer.headers.get("link")
        assert (link is None) == (answer.json()["next_cursor"] is None)
        url = link.partition(">")[0].removeprefix("<") if link else None
        assert url is None or "pool=gpu" in urlsplit(url).query
    assert seen == list(reversed(ids))


async def test_lists_filter_by_status_pool_label_and_time(harness: ApiHarness) -> None:
    plain = await harness.create(labels={"team": "a:b"})
    running = await harness.dispatched(pool="gpu")

    async def found(query: str) -> list[str]:
        answer = await harness.http.get(f"/tasks?{query}")
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    assert await found("status=created") == [plain["id"]]
    assert await found("status=created&status=dispatched") == [running["id"], plain["id"]]
    assert await found("pool=gpu") == [running["id"]]
    assert await found("label=team:a:b") == [plain["id"]]
    assert await found(f"id={plain['id'][-12:]}") == await found(f"id={plain['id']}") == [plain["id"]]
    assert await found("created_after=2026-03-01T13:00:00%2B01:00") == []
    assert await found("created_after=2026-03-01T11:59:59Z") == [running["id"], plain["id"]]


@pytest.mark.parametrize(
    "query",
    [
        "status=done", "workspace=a.b", "workspace=*", "pool=%3E", "pool=a%20b", "label=team", "label=:x",
        "label=a:%00", "label=a%3Db:c",
        "&".join(["label=a:b"] * 9), "runner=%3E", "finished_after=x",
        "limit=0", "limit=501", "limit=x", "limit=" + "9" * 5000,
        "created_after=yesterday", "created_after=2026-01-01T00:00:00", "cursor=%00", "colour=red",
        "lock=none", "exit_code=x", "q=", "q=%20", "order=up", "view=wide", "min_attempt=-1",
        "q=" + "a" * 201, "&".join(["id=0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"] * 201),
        "id=abc", "id=ABCD", "id=%25%25%25%25", "id=" + "a" * 37, "id=abcd%00",
        "created_after=0001-01-01T00:00:00%2B14:00",
    ],
)  # fmt: skip
async def test_a_filter_that_cannot_be_meant_is_refused(harness: ApiHarness, query: str) -> None:
    problem(await harness.http.get(f"/tasks?{query}"), 422, "invalid-request")


async def test_a_foreign_cursor_is_refused(harness: ApiHarness) -> None:
    problem(await harness.http.get("/tasks?cursor=abc"), 422, "bad-cursor")
    problem(await harness.http.get("/workspaces?cursor=_w"), 422, "bad-cursor")


async def test_a_full_workspace_refuses_a_dispatch_on_every_way_in(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness.parts.commands._claim_capacity, "_most_claims", 1)
    await harness.register()
    await harness.dispatched(workspace="acme")
    spec = {"id": new_id(), "command": ["make"], "workspace": "acme"}
    for _ in range(2):
        answer = await harness.http.post("/tasks", params={"dispatch": True}, json=spec)
        assert problem(answer, 409, "workspace-full")["task_id"] == spec["id"]
    refused = problem(await harness.http.post(f"/tasks/{spec['id']}/dispatch"), 409, "workspace-full")
    assert (refused["bound"], refused["open"], refused["most"]) == ("claims", 1, 1)
    assert (await harness.http.get(f"/tasks/{spec['id']}")).json()["status"] == "created"


@pytest.mark.parametrize("name", ["a:b", ":", "a=b", "=", "a:=b", "http://x"])
async def test_no_label_is_stored_that_no_filter_finds(harness: ApiHarness, name: str) -> None:
    refused = await harness.http.post("/tasks", json={"command": ["true"], "labels": {name: "x"}})
    assert "`:` or `=`" in problem(refused, 422, "invalid-request")["detail"]
    assert harness.events() == []


@pytest.mark.parametrize(
    "name", ["a", "a b", "a,b", "ä/ö", "%", "_", "\\", "a;b&c#d?", "'", '"', "*", ">", "a.b", "+"]
)
@pytest.mark.parametrize("value", ["", "x", "a:b", "a=b", ":", "%", "_", "\\", "a,b", "ä &+#?"])
async def test_every_label_that_is_stored_is_found(harness: ApiHarness, name: str, value: str) -> None:
    task = await harness.create(labels={name: value})
    await harness.create(labels={name: f"{value}!", f"{name}!": value})
    found = await harness.http.get("/tasks", params={"label": f"{name}:{value}"})
    assert [one["id"] for one in found.json()["items"]] == [task["id"]]


async def test_lists_filter_by_what_became_of_a_task(harness: ApiHarness) -> None:
    first, second, third = [await harness.dispatched(title=title) for title in ("Build A", "build B", "Test")]
    for task, code in ((first, 3), (second, 4)):
        await harness.report(task["id"], "running")
        await harness.report(task["id"], "failed", exit_code=code)
    await harness.http.post(f"/tasks/{first['id']}/dispatch")
    names = {task["id"]: task["title"] for task in (first, second, third)}

    async def listed(**query: object) -> list[str]:
        answer = await harness.http.get("/tasks", params=query)
        assert answer.status_code == 200, answer.text
        found = [names[one["id"]] for one in answer.json()["items"]]
        counted = await harness.http.get(
            "/tasks/count",
            params={name: value for name, value in query.items() if name not in ("order", "view")},
        )
        assert (counted.json()["count"], counted.json()["capped"]) == (len(found), False)
        return found

    assert await listed(exit_code=4) == ["build B"]
    assert await listed(q="BUILD") == ["build B", "Build A"]
    assert await listed(q="a build", order="oldest") == ["Build A"]
    assert await listed(order="oldest", view="row") == ["Build A", "build B", "Test"]
    assert await listed(min_attempt=2) == ["Build A"]
    assert await listed(id=[third["id"], second["id"], new_id()]) == ["Test", "build B"]
    assert await listed(id=third["id"][-8:]) == ["Test"]


async def test_a_row_is_a_task_without_its_large_fields(harness: ApiHarness) -> None:
    await harness.create(labels={"team": "a"})
    [task] = (await harness.http.get("/tasks")).json()["items"]
    [row] = (await harness.http.get("/tasks?view=row")).json()["items"]
    assert task.keys() - row.keys() == {"command", "message", "output_tail"}
    assert row == {name: task[name] for name in row}


async def test_a_list_says_where_a_task_waits_and_behind_whom(harness: ApiHarness) -> None:
    await harness.register()
    holder = await harness.dispatched(**SHARED)
    waiter = await harness.dispatched(**SHARED)
    rows = (await harness.http.get("/tasks?view=row&order=oldest")).json()["items"]
    assert rows[1]["lock"]["state"] == "none", "the fold of the harness knows no locks"
    reads, _ = await harness.read_model.find(TaskFilter(), 10, None)
    reads[0].lock = LockRead(state="waiting")
    reads[1].lock = LockRead(state="waiting")
    show_waiting(harness.parts, reads)
    assert (reads[0].id, reads[0].lock.position, reads[0].lock.blocked_by) == (
        waiter["id"],
        1,
        [holder["id"]],
    )
    assert (reads[1].lock.state, reads[1].lock.position) == ("waiting", None), (
        "it holds by now: left as it is"
    )
