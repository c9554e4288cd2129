"""Text as other programs send it, over every route with a body: cleaned or refused, never a fault of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.api.api_harness import ApiHarness, new_id, problem

JSON = {"Content-Type": "application/json"}
BEAT = {"runner_id": "r1", "pools": ["default"], "host": "h", "capacity": 2, "counter": 7}
LONE, NUL = r'"\ude00 built"', r'"a\u0000b"'
ODD = [
    b"\x00", b"nul", b"NaN", b'"\\ud800"', b"\xff\xfe{\x00", b"9" * 9000, b"1e999", b"[[[" * 40_000,
    b'{"\\ud800": 1}', b'{"command": {"\\ud800": NaN}}', b'{"labels": {"\\ud800": 1}, "command": ["a"]}',
    b'{"command": ["\\ud800"]}', b'{"env": {"\\ud800": "\\ud800"}, "command": ["a"]}',
    b'{"command": ["a"], "timeout_seconds": NaN}', b'{"command": ["a"], "timeout_seconds": Infinity}',
    b'{"status": "\\ud800"}', b'{"status": "failed", "runner_id": "\\ud800"}', b'{"reason": NaN}',
    b'{"root": "\\ud800"}', b'{"root": "/a\\u0000"}', b'{"held": [{"task_id": "\\ud800", "attempt": NaN}]}',
]  # fmt: skip


async def sent(harness: ApiHarness, method: str, path: str, body: bytes) -> Any:
    return await harness.http.request(method, path, content=body, headers=JSON)


@pytest.mark.parametrize("body", ODD, ids=lambda one: repr(one[:40]))
async def test_nothing_that_can_be_sent_is_a_fault_of_the_server(harness: ApiHarness, body: bytes) -> None:
    task = (await harness.dispatched())["id"]
    for method, path in (
        ("POST", "/tasks"),
        ("POST", f"/tasks/{task}/cancel"),
        ("POST", f"/tasks/{task}/locks/release"),
        ("POST", f"/runner/tasks/{task}/status"),
        ("POST", "/runner/heartbeat"),
        ("PUT", "/workspaces/acme"),
    ):
        answer = await sent(harness, method, path, body)
        assert answer.status_code in (400, 422), (path, answer.text)
        problem(answer, answer.status_code, answer.json()["code"])
        answer.text.encode("utf-8")


@pytest.mark.parametrize(
    "body",
    [
        f'{{"status": "succeeded", "output_tail": {LONE}}}'.encode(),
        b'\xef\xbb\xbf{"status": "succeeded"}',
        '{"status": "succeeded", "output_tail": "é"}'.encode("utf-16"),
        b'{"status": "succeeded", "output_tail": "\xf0\x9f\x98"}',
        b'{"status": "succeeded", "exit_code": 99999999999, "message": "' + b"m" * 9000 + b'"}',
    ],
    ids=lambda one: repr(one[:40]),
)
async def test_an_end_is_recorded_whatever_its_text(harness: ApiHarness, body: bytes) -> None:
    task = (await harness.dispatched())["id"]
    assert (await harness.report(task, "running", runner_id="r1")).status_code == 200
    answer = await sent(harness, "POST", f"/runner/tasks/{task}/status", body)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert harness.events()[-1] == "succeeded"


@pytest.mark.parametrize("text", [LONE, NUL])
async def test_what_people_read_is_cleaned_in_every_route(harness: ApiHarness, text: str) -> None:
    await harness.register()
    task_id = new_id()
    create = f'{{"id": "{task_id}", "title": {text}, "command": ["true"], "workspace": "acme"}}'.encode()
    for status in (201, 200):  # the same again is the same
        answer = await sent(harness, "POST", "/tasks", b"\xef\xbb\xbf" + create)
        assert answer.status_code == status
        assert "\ufffd" in answer.json()["title"]
    assert (await harness.http.post(f"/tasks/{task_id}/dispatch")).status_code == 202
    beat = json.dumps(BEAT).replace('"h"', text).encode("utf-16")
    assert (await sent(harness, "POST", "/runner/heartbeat", beat)).status_code == 200
    reason = f'{{"reason": {text}}}'.encode()
    for path in ("locks/release", "cancel"):
        assert (await sent(harness, "POST", f"/tasks/{task_id}/{path}", reason)).status_code in (200, 202)
    assert "\ufffd" in (await harness.http.get(f"/tasks/{task_id}")).json()["reason"]


async def test_a_dead_letter_is_shown_whatever_it_holds(harness: ApiHarness) -> None:
    await harness.dead.keep("report", new_id(), b'{"status": NaN, "x": "\\ud800"}', "invalid-report", "no")
    answer = await harness.http.get("/dead/1")
    assert answer.status_code == 200
    assert answer.json()["body"] == {"status": "nan", "x": "\ufffd"}
