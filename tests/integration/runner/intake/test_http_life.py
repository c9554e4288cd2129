"""An attempt's life over HTTP: a real intake, a real callback server, real processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.service import RunnerService
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    alive,
    all_up,
    new_marker,
    resisting_job,
    runner_config,
    submission,
    workspace,
)
from tests.support.waiting import eventually


class Submitter:
    """Submits to one runner, with callbacks to one control plane."""

    def __init__(self, runner: RunnerService, control: HttpControlPlane, client: httpx.AsyncClient) -> None:
        self.runner = runner
        self.control = control
        self.client = client

    async def post(self, command: list[str], **changes: Any) -> tuple[str, httpx.Response]:
        body = submission(command, **changes)
        body = {**self.control.callback(body["task_id"]), **body}
        return body["task_id"], await self.client.post("/tasks/submit", json=body)

    async def submit(self, command: list[str], **changes: Any) -> str:
        task_id, response = await self.post(command, **changes)
        assert response.status_code == 202, response.text
        return task_id

    async def final(self, command: list[str], **changes: Any) -> dict[str, Any]:
        return await self.control.final(await self.submit(command, **changes))

    async def status(self, task_id: str) -> str:
        return str((await self.client.get(f"/tasks/{task_id}")).json()["status"])


@pytest.fixture
async def host(
    control: HttpControlPlane, start_runner: StartRunner, tmp_path: Path
) -> AsyncIterator[Submitter]:
    runner = await start_runner(callback_urls=(control.url,), roots=(tmp_path / "root",))
    (tmp_path / "root").mkdir()
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:
        yield Submitter(runner, control, client)


async def test_a_client_that_leaves_in_the_middle_is_no_error(
    host: Submitter, caplog: pytest.LogCaptureFixture
) -> None:
    at = httpx.URL(host.runner.intake_url or "")
    reader, writer = await asyncio.open_connection(at.host, at.port)
    head = f"POST /tasks/submit HTTP/1.1\r\nHost: {at.host}:{at.port}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.write_eof()
    async with asyncio.timeout(DEADLINE):
        await reader.read()
    writer.close()
    assert (await host.client.get("/health")).status_code == 200
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_whole_life(host: Submitter) -> None:
    task_id, response = await host.post(["sh", "-c", "echo hello"])
    assert response.json() == {
        "task_id": task_id,
        "attempt": 1,
        "status": "queued",
        "runner_id": host.runner.runner_id,
        "instance": host.runner.state.instance,
    }
    final = await host.control.final(task_id)
    assert host.control.said(task_id) == ["running", "succeeded"]
    assert (final["exit_code"], final["output_tail"], final["attempt"]) == (0, "hello\n", 1)
    assert final["runner_id"] == host.runner.runner_id
    assert final["finished_at"] >= final["started_at"]
    assert all(headers["x-runner-token"] == "cb-token" for _, _, headers in host.control.posts)
    await eventually(lambda: not host.runner.state.held(), DEADLINE)
    assert await host.status(task_id) == "succeeded"
    work = host.runner.state.work
    assert await eventually(lambda: [entry.name for entry in work.rglob("*")] == [".removed"], DEADLINE)


@pytest.mark.parametrize(
    ("command", "reason", "code"),
    [
        (["sh", "-c", "exit 7"], "exit", 7),
        (["sh", "-c", "kill -9 $$"], "killed", -9),
        (["no-such-program"], "error", None),
    ],
)
async def test_failures(host: Submitter, command: list[str], reason: str, code: int | None) -> None:
    final = await host.final(command)
    assert (final["status"], final["reason"], final.get("exit_code")) == ("failed", reason, code)


async def test_a_timeout(host: Submitter) -> None:
    marker = new_marker()
    final = await host.final(resisting_job(marker), timeout_seconds=0.5)
    assert (final["status"], final["reason"]) == ("failed", "timeout")
    assert alive(marker) == []


async def test_cancel_of_a_resisting_job_is_reported_when_nothing_is_left(host: Submitter) -> None:
    marker = new_marker()
    task_id = await host.submit(resisting_job(marker))
    await all_up(marker)
    left: list[int] = []

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        left.extend(alive(marker))
        return 200, body

    host.control.answer = answer
    assert (await host.client.post(f"/tasks/{task_id}/cancel")).status_code == 202
    assert (await host.control.final(task_id))["status"] == "canceled"
    assert left == []


async def test_the_environment_and_the_redacted_tail(host: Submitter, tmp_path: Path) -> None:
    script = "echo $TOWPATH_TASK_ID $TOWPATH_ATTEMPT $TOWPATH_LOCK_TOKEN; pwd"
    script = f"echo $CC; echo $KEY cb-token; printf user:$KEY | base64; {script}; exit 7"
    given = {"env": {"KEY": "s3cret-value", "CC": "exited"}, "secret_names": ["KEY", "GONE"]}
    task_id = await host.submit(["sh", "-c", script], **given, **workspace(tmp_path / "root"))
    final = await host.control.final(task_id)
    tail = final["output_tail"]
    encoded = "dXNlcjp[redacted]U="
    assert tail == f"exited\n[redacted] [redacted]\n{encoded}\n{task_id} 1 7\n{tmp_path / 'root'}\n"
    assert final["message"] == "exited with code 7"
    whole = host.runner.state.outputs / f"{task_id}.1.out"
    assert whole.read_text() == tail


async def test_an_attempt_is_taken_once(host: Submitter, tmp_path: Path) -> None:
    file = tmp_path / "count"
    body = submission(["sh", "-c", f"echo x >> {file}"])
    body |= host.control.callback(body["task_id"])
    for _ in range(3):
        assert (await host.client.post("/tasks/submit", json=body)).status_code == 202
    await host.control.final(body["task_id"])
    assert (await host.client.post("/tasks/submit", json=body)).status_code == 202
    assert await host.status(body["task_id"]) == "succeeded"
    assert file.read_text() == "x\n"


REFUSALS: list[tuple[int, dict[str, Any], str | None]] = [
    (200, {"status": "queued"}, "failed"),
    (200, {"status": "running", "attempt": 2}, None),
    (200, {"status": "running", "attempt": 1, "runner_id": "other"}, None),
    (200, {"status": "canceled", "attempt": 1}, None),
    (200, {"status": "running", "attempt": 1, "cancel_requested": True}, "canceled"),
    (409, {"type": "https://towpath.example/problems/cancel-requested"}, "canceled"),
    (409, {"type": "https://towpath.example/problems/not-your-attempt"}, None),
    (409, {"type": "https://towpath.example/problems/stale-attempt"}, None),
    (422, {"type": "https://towpath.example/problems/invalid-request"}, "failed"),
]


@pytest.mark.parametrize(("status", "answer", "then"), REFUSALS)
async def test_no_permission_no_start(
    host: Submitter, tmp_path: Path, status: int, answer: dict[str, Any], then: str | None
) -> None:
    host.control.answer = lambda body: (status, answer) if body["status"] == "running" else (200, body)
    task_id = await host.submit(["touch", str(tmp_path / "ran")])
    await eventually(lambda: not host.runner.state.held(), DEADLINE)
    assert host.control.said(task_id) == ["running", *([then] if then else [])]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("status", [503, 401, 302])
async def test_no_start_while_the_control_plane_is_away_or_misconfigured(
    host: Submitter, tmp_path: Path, status: int
) -> None:
    host.control.answer = lambda body: (status, {})
    task_id = await host.submit(["touch", str(tmp_path / "ran")])
    await eventually(lambda: len(host.control.posts) >= 2, DEADLINE)
    assert not (tmp_path / "ran").exists()
    host.control.answer = None
    assert (await host.control.final(task_id))["status"] == "succeeded"
    assert (tmp_path / "ran").exists()


async def test_a_canceled_attempt_in_the_queue_never_starts(host: Submitter, tmp_path: Path) -> None:
    markers = [new_marker(), new_marker()]
    for marker in markers:
        await host.submit(resisting_job(marker))
        await all_up(marker)
    waiting = await host.submit(["touch", str(tmp_path / "ran")])
    assert await host.status(waiting) == "queued"
    await host.client.post(f"/tasks/{waiting}/cancel", json={"attempt": 1})
    assert (await host.control.final(waiting))["status"] == "canceled"
    assert host.control.said(waiting) == ["canceled"]
    assert not (tmp_path / "ran").exists()


async def test_a_full_queue_is_a_503(host: Submitter) -> None:
    for _ in range(4):
        await host.submit(["sleep", "300"])
    _, response = await host.post(["true"])
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_newer_attempt_replaces_the_older(host: Submitter) -> None:
    marker = new_marker()
    task_id = await host.submit(resisting_job(marker))
    await all_up(marker)
    await host.submit(["true"], task_id=task_id, attempt=2)
    final = await host.control.final(task_id)
    assert (final["attempt"], final["status"]) == (2, "succeeded")
    assert alive(marker) == []


async def test_refusals_say_what_to_do(host: Submitter, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "root" / "link").symlink_to(outside)
    _, response = await host.post(["true"], **workspace(tmp_path / "root" / "link"))
    assert response.status_code == 422
    assert f"--root {outside}" in response.json()["detail"]
    _, response = await host.post(["true"], status_callback_url="http://169.254.169.254/")
    assert response.status_code == 422
    assert response.json()["type"].endswith("callback-url")
    _, response = await host.post([])
    assert response.status_code == 422
    assert "command" in response.json()["detail"]
    response = await host.client.post("/tasks/submit", content=b"x" * (1024 * 1024 + 1))
    assert response.status_code == 413


async def test_a_missing_root_fails_the_attempt(host: Submitter, tmp_path: Path) -> None:
    final = await host.final(["true"], **workspace(tmp_path / "root" / "gone"))
    assert (final["status"], final["reason"]) == ("failed", "error")
    assert "no directory on this host" in final["message"]


async def test_unknown_and_malformed_ids(host: Submitter) -> None:
    unknown = submission(["true"])["task_id"]
    assert (await host.client.get(f"/tasks/{unknown}")).status_code == 404
    assert (await host.client.post(f"/tasks/{unknown}/cancel")).status_code == 404
    assert (await host.client.get("/tasks/nonsense")).status_code == 422
    assert (await host.client.get("/health")).json()["status"] == "ok"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
    ],
)
async def test_no_browser_submits(host: Submitter, headers: dict[str, str], status: int) -> None:
    given = submission(["true"])
    for path in ("/tasks/submit", f"/tasks/{given['task_id']}/cancel"):
        answer = await host.client.post(path, content=json.dumps(given), headers=headers)
        assert answer.status_code == status, answer.text
    if status == 403:
        for path in ("/health", f"/tasks/{given['task_id']}", "/nowhere"):
            answer = await host.client.get(path, headers=headers)
            assert answer.status_code == 403
            assert "TOWPATH_ALLOWED_HOSTS" in answer.json()["detail"]


async def test_the_token_is_asked_for(control: HttpControlPlane, start_runner: StartRunner) -> None:
    runner = await start_runner(callback_urls=(control.url,), runner_token="let-me-in")
    body = submission(["true"])
    body |= control.callback(body["task_id"])
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:
        for headers in ({}, {"x-runner-token": "wrong"}):
            assert (await client.post("/tasks/submit", json=body, headers=headers)).status_code == 401
            assert (await client.get(f"/tasks/{body['task_id']}", headers=headers)).status_code == 401
        right = {"x-runner-token": "let-me-in"}
        assert (await client.post("/tasks/submit", json=body, headers=right)).status_code == 202
    await control.final(body["task_id"])


async def test_stopping_ends_what_runs_and_says_so(
    host: Submitter, start_runner: StartRunner, tmp_path: Path
) -> None:
    marker = new_marker()
    task_id = await host.submit(resisting_job(marker))
    await all_up(marker)
    await host.runner.stop()
    await host.runner.stop()
    assert alive(marker) == []
    final = await host.control.final(task_id)
    assert (final["reason"], final["message"]) == ("runner-lost", "its runner was stopped in order")
    again = RunnerService(runner_config(tmp_path / "state"))
    assert again.runner_id == host.runner.runner_id
    await again.stop()


@pytest.mark.parametrize("word", ["exited", "code", "with", "3", "started", "program"])
async def test_a_secret_never_cuts_the_runners_own_sentences(host: Submitter, word: str) -> None:
    given = {"env": {"KEY": word}, "secret_names": ["KEY"]}
    ended = await host.control.final(await host.submit(["sh", "-c", "exit 3"], **given))
    assert ended["message"] == "exited with code 3"
    missing = await host.control.final(await host.submit(["no-such-program"], **given))
    assert missing["message"] == "cannot start 'no-such-program': no such program on PATH"


async def test_a_program_whose_name_is_too_long_to_start_or_to_show_fails_with_words(host: Submitter) -> None:
    for name in ("x" * 300, "/x" * 40_000):
        final = await host.final([name])
        assert (final["status"], final["reason"]) == ("failed", "error")
        assert "cannot start" in final["message"]
        assert len(final["message"]) < 400
