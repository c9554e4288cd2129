"""The runner dies, is stopped or told to end: nothing stays behind, and nothing is forgotten."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.stage import (
    DEADLINE,
    ControlPlane,
    LogPlane,
    RunnerProcess,
    agree,
    alive,
    all_gone,
    all_up,
    keepers,
    new_marker,
    note_alive,
    resisting_job,
    submission,
)
from tests.support.waiting import eventually

StartProcess = Callable[..., RunnerProcess]


async def working(runner: RunnerProcess, plane: ControlPlane) -> tuple[str, str]:
    """A resisting job at work; its task id and marker."""
    marker = new_marker()
    body = submission(resisting_job(marker))
    await runner.submit({**body, **plane.callback(body["task_id"])})
    await all_up(marker)
    return body["task_id"], marker


async def test_a_killed_runner_takes_its_jobs_along_and_says_so_when_it_is_back(
    plane: ControlPlane, start_runner: StartRunner, runner_process: StartProcess
) -> None:
    runner = runner_process(callback_urls=(plane.url,))
    task_id, marker = await working(runner, plane)
    runner.close()
    await all_gone(marker)
    assert plane.said(task_id) == ["running"]
    await start_runner(callback_urls=(plane.url,))
    final = await plane.final(task_id)
    assert (final["status"], final["reason"], final["attempt"]) == ("failed", "runner-lost", 1)


async def test_an_end_that_waits_in_the_outbox_stays_the_end(
    plane: ControlPlane, start_runner: StartRunner, runner_process: StartProcess, tmp_path: Path
) -> None:
    runner = runner_process(callback_urls=(plane.url,))
    plane.answer = lambda body: (503, {}) if body["status"] == "succeeded" else agree(body)
    body = submission(["true"])
    await runner.submit({**body, **plane.callback(body["task_id"])})
    await eventually(lambda: "succeeded" in plane.said(body["task_id"]), DEADLINE)
    runner.close()
    plane.posts.clear()
    plane.answer = None
    back = await start_runner(callback_urls=(plane.url,))
    await eventually(lambda: not back.state.held(), DEADLINE)
    assert plane.said(body["task_id"]) == ["succeeded"]


async def test_a_second_runner_in_the_same_directory_is_refused(
    plane: ControlPlane, runner_process: StartProcess, tmp_path: Path
) -> None:
    first = runner_process(callback_urls=(plane.url,))
    _, marker = await working(first, plane)
    second = runner_process(callback_urls=(plane.url,), stderr=subprocess.PIPE)
    _, words = await asyncio.to_thread(second.process.communicate)
    assert second.process.returncode == 1
    assert f"another runner works with {tmp_path / 'state'}: stop it" in words.decode()
    assert len(alive(marker)) == 4


@pytest.mark.parametrize("killed", [True, False])
async def test_what_outlived_a_killed_runner_is_gone_before_the_next_one_reports_it(
    plane: ControlPlane, start_runner: StartRunner, runner_process: StartProcess, killed: bool
) -> None:
    """Its shim and guard were killed or stopped too, so that nothing but the next runner can end it."""
    runner = runner_process(callback_urls=(plane.url,))
    task_id, marker = await working(runner, plane)
    guard, shim = keepers(runner)
    for pid in (runner.process.pid, guard, shim):
        os.kill(pid, signal.SIGSTOP)
    for pid in (shim, guard) if killed else ():
        os.kill(pid, signal.SIGKILL)
    runner.close()
    left = note_alive(plane, marker)
    assert alive(marker) != []
    await start_runner(callback_urls=(plane.url,))
    assert (await plane.final(task_id))["reason"] == "runner-lost"
    assert left == []


async def test_a_stopped_runner_loses_its_jobs_with_its_lease(
    plane: ControlPlane, nats_server: EmbeddedNats, log_plane: LogPlane, runner_process: StartProcess
) -> None:
    runner = runner_process(callback_urls=(plane.url,), nats_url=nats_server.runner_url, lease_seconds=2.0)
    task_id, marker = await working(runner, plane)
    runner.end(signal.SIGSTOP)
    await all_gone(marker)
    runner.end(signal.SIGCONT)
    final = await plane.final(task_id)
    assert (final["status"], final["reason"]) == ("failed", "runner-lost")
    assert "lease" in final["message"]


async def test_sigterm_ends_jobs_reports_them_and_exits(
    plane: ControlPlane, runner_process: StartProcess
) -> None:
    runner = runner_process(callback_urls=(plane.url,))
    task_id, marker = await working(runner, plane)
    runner.end(signal.SIGTERM)
    assert await eventually(lambda: runner.process.poll() is not None, DEADLINE)
    assert runner.process.returncode == 0
    assert alive(marker) == []
    assert (await plane.final(task_id))["message"] == "its runner was stopped in order"
