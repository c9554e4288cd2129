"""A runner without NATS: heartbeats go by HTTP, its lease hangs on them, and they say what to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.service import RunnerService
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    RunnerProcess,
    alive,
    all_gone,
    all_up,
    new_marker,
    resisting_job,
    stamping_job,
    submission,
)
from tests.support.waiting import eventually


async def submit(runner: RunnerService, control: HttpControlPlane, command: list[str]) -> str:
    body = submission(command)
    body |= control.callback(body["task_id"])
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:
        assert (await client.post("/tasks/submit", json=body)).status_code == 202
    return str(body["task_id"])


async def test_they_say_what_is_held_and_stop_what_is_no_longer_wanted(
    control: HttpControlPlane, start_runner: StartRunner
) -> None:
    runner = await start_runner(api_url=control.url, api_token="for-runners", lease_seconds=1.5)
    marker = new_marker()
    stopped = await submit(runner, control, resisting_job(marker))
    goes_on = await submit(runner, control, ["sleep", "300"])
    await all_up(marker)
    control.stop.add(stopped)
    left: list[int] = []

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        left.extend(alive(marker))
        return 200, body

    control.answer = answer
    assert (await control.final(stopped))["status"] == "canceled"
    assert left == []
    last = {"task_id": goes_on, "attempt": 1}
    await eventually(lambda: control.beats[-1][0]["held"] == [last], DEADLINE)
    said, headers = control.beats[-1]
    assert (said["runner_id"], said["pools"], said["capacity"]) == (runner.runner_id, ["default"], 2)
    assert headers["x-runner-token"] == "for-runners"
    counters = [body["counter"] for body, _ in control.beats]
    assert counters == sorted(set(counters))
    assert {"task_id": stopped, "attempt": 1} in [one for body, _ in control.beats for one in body["held"]]


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_nothing_starts_before_one_is_acknowledged(
    control: HttpControlPlane, start_runner: StartRunner, status: int
) -> None:
    control.beat_status = status
    runner = await start_runner(api_url=control.url, lease_seconds=1.5)
    task_id = await submit(runner, control, ["true"])
    await eventually(lambda: len(control.beats) >= 2, DEADLINE)
    assert control.said(task_id) == []
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:
        assert "lease" in (await client.get("/health")).json()["troubles"]
    control.beat_status = 200
    assert (await control.final(task_id))["status"] == "succeeded"


async def test_without_acknowledgement_everything_is_killed_with_the_lease(
    control: HttpControlPlane, start_runner: StartRunner
) -> None:
    runner = await start_runner(api_url=control.url, lease_seconds=1.5)
    marker = new_marker()
    task_id = await submit(runner, control, resisting_job(marker))
    await all_up(marker)
    control.beat_status = 503
    final = await control.final(task_id)
    assert alive(marker) == []
    assert (final["status"], final["reason"]) == ("failed", "runner-lost")


async def test_a_stopped_runner_loses_its_jobs_with_its_lease(
    control: HttpControlPlane, runner_process: Callable[..., RunnerProcess], tmp_path: Path
) -> None:
    """And before anybody else may take over: a grace of a third of the lease after it."""
    lease = 3.0
    runner = runner_process(api_url=control.url, lease_seconds=lease)
    marker, stamps = new_marker(), tmp_path / "stamp"
    body = submission(stamping_job(marker, stamps))
    await runner.submit({**body, **control.callback(body["task_id"])})
    await all_up(marker)
    os.kill(runner.process.pid, signal.SIGSTOP)
    await all_gone(marker)
    last = {file.suffix: float(file.read_text() or 0) for file in tmp_path.glob("stamp.*")}
    assert set(last) == {".main", ".fork", ".session", ".daemon"}
    assert max(last.values()) < control.last_beat_at + lease + lease / 3
    os.kill(runner.process.pid, signal.SIGCONT)
    assert "lease" in (await control.final(body["task_id"]))["message"]


async def test_a_runner_that_stops_in_order_says_goodbye(
    control: HttpControlPlane, start_runner: StartRunner
) -> None:
    runner = await start_runner(api_url=control.url, api_token="for-runners", lease_seconds=1.5)
    task_id = await submit(runner, control, ["sleep", "300"])
    await eventually(lambda: control.beats and control.beats[-1][0]["held"], DEADLINE)
    await runner.stop()
    assert (await control.final(task_id))["reason"] == "runner-lost"
    said = [body for body, _ in control.beats]
    assert (said[-1]["leaving"], said[-1]["held"]) == (True, [])
    assert not any(body["leaving"] for body in said[:-1])
