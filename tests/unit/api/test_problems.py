"""Bad input of every kind: a problem that says what to do, and nothing in the log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.config import ApiConfig
from tests.unit.api.api_harness import ApiHarness, api_harness, new_id, problem

JSON = {"Content-Type": "application/json"}
BAD_IDS = ["a.b", "*", "%3E", "a%20b", "a%2eb", "%00", "x" * 65, "1", "..%2f..", "%E2%82%AC"]
UPPER = "0198C5A2-7C1E-7BBD-9F5E-0D9A4F6F1C11"
NIL = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def quiet(harness: ApiHarness) -> AsyncIterator[ApiHarness]:
    """An API whose log must still be empty at the end."""
    yield harness
    assert harness.events() == []


@pytest.mark.parametrize("task_id", [*BAD_IDS, UPPER, NIL])
async def test_an_id_that_is_no_task_id_never_becomes_a_subject(quiet: ApiHarness, task_id: str) -> None:
    get, post = quiet.http.get, quiet.http.post
    answers = [
        await get(f"/tasks/{task_id}"),
        await get(f"/tasks/{task_id}/events"),
        await get(f"/events?task_id={task_id}"),
        await get(f"/events/stream?task_id={task_id}"),
        await post(f"/tasks/{task_id}/dispatch"),
        await post(f"/tasks/{task_id}/cancel"),
        await post(f"/tasks/{task_id}/locks/release", json={"reason": "x"}),
        await quiet.report(task_id, "running"),
    ]
    for answer in answers:
        assert answer.status_code in (404, 422), answer.text
        problem(answer, answer.status_code, answer.json()["code"])
    assert quiet.dead.kept == []


@pytest.mark.parametrize("workspace", BAD_IDS[:7])
async def test_a_workspace_id_that_is_no_name_never_becomes_a_subject(
    quiet: ApiHarness, workspace: str
) -> None:
    root = {"root": "/srv/x"}
    answers = [
        await quiet.http.put(f"/workspaces/{workspace}", json=root),
        await quiet.http.get(f"/workspaces/{workspace}"),
        await quiet.http.delete(f"/workspaces/{workspace}"),
        await quiet.http.get(f"/workspaces/{workspace}/locks"),
        await quiet.http.get(f"/events?workspace={workspace}"),
    ]
    for answer in answers:
        if len(workspace) > 1:
            problem(answer, 422, "invalid-request")


async def test_unknown_tasks_are_not_found(quiet: ApiHarness) -> None:
    task_id = new_id()
    for answer in [
        await quiet.http.get(f"/tasks/{task_id}"),
        await quiet.http.get(f"/tasks/{task_id}/events"),
        await quiet.http.get(f"/events?task_id={task_id}"),
        await quiet.http.get(f"/events/stream?task_id={task_id}"),
        await quiet.http.post(f"/tasks/{task_id}/dispatch"),
        await quiet.http.post(f"/tasks/{task_id}/cancel"),
        await quiet.http.post(f"/tasks/{task_id}/locks/release", json={"reason": "x"}),
        await quiet.report(task_id, "running"),
    ]:
        problem(answer, 404, "no-such-task")


BAD_SPECS: list[Any] = [
    [],
    {},
    {"command": []},
    {"command": "ls -l"},
    {"command": [""]},
    {"command": ["a\x00b"]},
    {"command": ["true"], "shell": True},
    {"command": ["true"], "id": "a.b"},
    {"command": ["true"], "id": UPPER},
    {"command": ["true"], "pool": "a.b"},
    {"command": ["true"], "workspace": "*"},
    {"command": ["true"], "execution_mode": "shared-workspace"},
    {"command": ["true"], "lock_paths": ["src"]},
    {"command": ["true"], "timeout_seconds": 0},
    {"command": ["true"], "timeout_seconds": 1e400},
    {"command": ["true"], "timeout_seconds": 10**400},
    {"command": ["true"], "env": {"A=B": "x"}},
    {"command": ["true"], "env": {"A": "x\x00"}},
    {"command": ["true"], "secrets": {"A=B": "x"}},
    {"command": ["true"], "secrets": {"A": "x\x00"}},
    {"command": ["true"], "secrets": {"A": "x"}, "env": {"A": "x"}},
    {"command": ["true"], "labels": {"": "x"}},
]


@pytest.mark.parametrize("spec", BAD_SPECS, ids=str)
async def test_a_task_that_makes_no_sense_is_refused(quiet: ApiHarness, spec: Any) -> None:
    answer = await quiet.http.post("/tasks", content=json.dumps(spec), headers=JSON)
    body = problem(answer, 422, "invalid-request")
    assert body["errors"]
    assert all(set(one) == {"loc", "msg", "type"} for one in body["errors"])
    assert "Value error" not in answer.text


async def test_a_problem_never_echoes_what_was_sent(quiet: ApiHarness) -> None:
    answer = await quiet.http.post("/tasks", json={"command": "hush", "env": {"a b": "hush"}, "hush": 1})
    problem(answer, 422, "invalid-request")
    assert answer.text.count("hush") == answer.text.count("body.hush")
    twice = {"command": ["x"], "env": {"KEY": "hush"}, "secrets": {"KEY": "hush"}}
    answer = await quiet.http.post("/tasks", json=twice)
    (said,) = problem(answer, 422, "invalid-request")["errors"]
    assert "KEY stands in `env` and in `secrets`" in said["msg"]
    assert "hush" not in answer.text


@pytest.mark.parametrize("path", ["/../etc", "src/../..", "a\x00b", "/etc", ""])
async def test_a_lock_path_does_not_leave_its_workspace(harness: ApiHarness, path: str) -> None:
    await harness.register()
    answer = await harness.http.post(
        "/tasks", json={"command": ["true"], "workspace": "acme", "lock_paths": [path]}
    )
    assert answer.status_code == 422, answer.text
    assert harness.events() == ["registered"]


@pytest.mark.parametrize(
    "body", [b"{", b"", b"nonsense", b"\xff\xfe", b"[" * 100_000, b"{} {}"], ids=lambda one: repr(one[:8])
)
@pytest.mark.parametrize("path", ["/tasks", "/runner/tasks/{id}/status"])
async def test_a_body_that_is_no_json_is_a_bad_request(quiet: ApiHarness, path: str, body: bytes) -> None:
    answer = await quiet.http.post(path.replace("{id}", new_id()), content=body, headers=JSON)
    assert answer.status_code in ((400,) if body else (400, 422)), answer.text
    problem(answer, answer.status_code, answer.json()["code"])


async def test_a_body_that_is_not_declared_as_json_is_refused_with_the_reason(quiet: ApiHarness) -> None:
    for headers in (
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {},
    ):
        answer = await quiet.http.post("/tasks", content=b'{"command": ["true"]}', headers=headers)
        problem(answer, 415, "not-json")


async def test_a_declared_body_over_the_limit_is_refused_unread(quiet: ApiHarness) -> None:
    big = b'{"command": ["' + b"x" * 600_000 + b'"]}'
    for path in ("/tasks", f"/runner/tasks/{new_id()}/status", "/nowhere"):
        problem(await quiet.http.post(path, content=big, headers=JSON), 413, "body-too-large")
    bad = await quiet.http.post("/tasks", content=b"{}", headers={**JSON, "Content-Length": "-1"})
    problem(bad, 400, "bad-content-length")


async def test_a_chunked_body_is_cut_off_at_the_limit() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b" " * 100

    async with api_harness(ApiConfig(body_limit_bytes=1000)) as harness:
        for path in ("/tasks", f"/runner/tasks/{new_id()}/status"):
            answer = await harness.http.post(path, content=endless(), headers=JSON)
            problem(answer, 413, "body-too-large")
        assert taken < 50


async def test_unknown_routes_and_methods_are_problems(quiet: ApiHarness) -> None:
    problem(await quiet.http.get("/nowhere"), 404, "no-such-route")
    problem(await quiet.http.get("/tasks/"), 404, "no-such-route")
    answer = await quiet.http.delete("/tasks")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert (await quiet.http.patch("/workspaces/shop")).headers["allow"] == "DELETE, GET, HEAD, PUT"
    answer = await quiet.http.get(f"/runner/tasks/{new_id()}/status")
    problem(answer, 405, "method-not-allowed")


async def test_a_fault_of_the_server_shows_nothing_of_its_inside() -> None:
    async def broken() -> dict[str, str]:
        raise RuntimeError("password=hush")

    async with api_harness(readiness=broken) as harness:
        answer = await harness.http.get("/readyz")
        problem(answer, 500, "internal-error")
        assert "hush" not in answer.text
