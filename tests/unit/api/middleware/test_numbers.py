"""No time and no number in a request is a fault of the server."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.unit.api.api_harness import ApiHarness, new_id, problem

JSON = {"Content-Type": "application/json"}
TIMES = [
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00", "2016-12-31T23:59:60Z", "2026-03-01T12:00:00", "NaN", "inf", "-1", "1e308",
    str(2**53), str(2**63 - 1), str(2**63), "9" * 400, "9" * 5000, "٣",
]  # fmt: skip
NUMBERS = [
    "NaN", "Infinity", "-Infinity", "1e308", "1e309", "-1e308", str(2**31), str(2**53), str(2**63),
    str(2**64), "-" + str(2**63), "9" * 400, "9" * 5000, "1.5", "true", '"1"', "null", "[]",
]  # fmt: skip


async def test_times_at_the_ends_mean_the_ends_of_the_log(harness: ApiHarness) -> None:
    task = await harness.create()
    trail = f"/tasks/{task['id']}/events"
    for path in (trail, "/events"):
        everything = (await harness.http.get(path)).json()["items"]
        assert len(everything) == 1
        for query, wanted in (
            ({"from": "0001-01-01T00:00:00Z"}, everything),
            ({"to": "9999-12-31T23:59:59Z"}, everything),
            ({"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, everything),
            ({"from": "9999-12-31T23:59:59Z"}, []),
            ({"to": "0001-01-01T00:00:00Z"}, []),
        ):
            answer = await harness.http.get(path, params=query)
            assert (answer.status_code, answer.json()["items"]) == (200, wanted), query
    created = [one["id"] for one in (await harness.http.get("/tasks")).json()["items"]]
    for after, ids in (("0001-01-01T00:00:00Z", created), ("9999-12-31T23:59:59Z", [])):
        answer = await harness.http.get("/tasks", params={"created_after": after})
        assert [one["id"] for one in answer.json()["items"]] == ids
    problem(await harness.http.get("/locks", params={"at": "9999-12-31T23:59:59Z"}), 404, "beyond-the-log")
    assert (await harness.http.get("/locks", params={"at": "0001-01-01T00:00:00Z"})).json()["items"] == []


@pytest.mark.parametrize("value", TIMES, ids=lambda value: value[:30])
async def test_no_query_is_a_fault_of_the_server(harness: ApiHarness, value: str) -> None:
    task = await harness.create()
    paths = ["/tasks", "/events", "/locks", f"/tasks/{task['id']}", f"/tasks/{task['id']}/events", "/runners"]
    names = ["from", "to", "at", "created_after", "limit", "after_seq", "cursor", "label"]
    for path, name in itertools.product([*paths, "/workspaces", "/workspaces/acme/locks", "/dead"], names):
        answer = await harness.http.get(path, params={name: value})
        assert answer.status_code < 500, (path, name, answer.text)
    for path in (f"/dead/{value}", f"/tasks/{value}", f"/workspaces/{value}"):
        assert (await harness.http.get(path)).status_code in (404, 422), path


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: value[:30])
async def test_no_number_in_a_body_is_a_fault_of_the_server(harness: ApiHarness, value: str) -> None:
    task = await harness.dispatched(pool="mine")
    held = json.dumps({"task_id": task["id"], "attempt": 0}).replace("0}", f"{value}}}")
    beat = {"runner_id": "r", "pools": ["p"], "host": "h", "capacity": 1, "counter": 1}
    status = f"/runner/tasks/{task['id']}/status"
    bodies = [
        ("/tasks", {"command": ["true"]}, ("timeout_seconds", "lock_wait_seconds", "id", "labels", "title")),
        (status, {"status": "running", "runner_id": "r"}, ("pid", "attempt", "exit_code")),
        (status, {"status": "failed"}, ("started_at", "finished_at", "exit_code")),
        ("/runner/heartbeat", beat, ("capacity", "counter", "outbox", "held")),
    ]  # fmt: skip
    for path, body, names in bodies:
        for name in names:
            rest = {key: given for key, given in body.items() if key != name}
            text = json.dumps(rest)[:-1] + f', "{name}": {value}}}'
            answer = await harness.http.post(path, content=text, headers=JSON)
            assert answer.status_code < 500, (path, name, answer.text)
    text = json.dumps(beat)[:-1] + f', "held": [{held}]}}'
    assert (await harness.http.post("/runner/heartbeat", content=text, headers=JSON)).status_code < 500


async def test_a_program_that_no_host_can_start_is_refused_at_once(harness: ApiHarness) -> None:
    answer = await harness.http.post("/tasks", json={"id": new_id(), "command": ["x" * 70_000]})
    assert "4095 bytes" in problem(answer, 422, "invalid-request")["detail"]
    assert harness.events() == []
