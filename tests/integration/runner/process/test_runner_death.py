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
from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    NatsControlPlane,
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


async def working(runner: RunnerProcess, control: HttpControlPlane) -> tuple[str, str]:
    """A resisting job at work; its task id and marker."""
    marker = new_marker()
    body = submission(resisting_job(marker))
    await runner.submit({**body, **control.callback(body["task_id"])})
    await all_up(marker)
    return body["task_id"], marker


async def test_a_killed_runner_takes_its_jobs_along_and_says_so_when_it_is_back(
    control: HttpControlPlane, start_runner: StartRunner, runner_process: StartProcess
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    task_id, marker = await working(runner, control)
    runner.close()
    await all_gone(marker)
    assert control.said(task_id) == ["running"]
    await start_runner(callback_urls=(control.url,))
    final = await control.final(task_id)
    assert (final["status"], final["reason"], final["attempt"]) == ("failed", "runner-lost", 1)


async def test_an_end_that_waits_in_the_outbox_stays_the_end(
    control: HttpControlPlane, start_runner: StartRunner, runner_process: StartProcess, tmp_path: Path
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    control.answer = lambda body: (503, {}) if body["status"] == "succeeded" else agree(body)
    body = submission(["true"])
    await runner.submit({**body, **control.callback(body["task_id"])})
    await eventually(lambda: "succeeded" in control.said(body["task_id"]), DEADLINE)
    runner.close()
    control.posts.clear()
    control.answer = None
    back = await start_runner(callback_urls=(control.url,))
    await eventually(lambda: not back.state.held(), DEADLINE)
    assert control.said(body["task_id"]) == ["succeeded"]


async def test_a_second_runner_in_the_same_directory_is_refused(
    control: HttpControlPlane, runner_process: StartProcess, tmp_path: Path
) -> None:
    first = runner_process(callback_urls=(control.url,))
    _, marker = await working(first, control)
    second = runner_process(callback_urls=(control.url,), stderr=subprocess.PIPE)
    _, words = await asyncio.to_thread(second.process.communicate)
    assert second.process.returncode == 1
    assert f"another runner works with {tmp_path / 'state'}: stop it" in words.decode()
    assert len(alive(marker)) == 4


@pytest.mark.parametrize("killed", [True, False])
async def test_what_outlived_a_killed_runner_is_gone_before_the_next_one_reports_it(
    control: HttpControlPlane, start_runner: StartRunner, runner_process: StartProcess, killed: bool
) -> None:
    """Its shim and guard were killed or stopped too, so that nothing but the next runner can end it."""
    runner = runner_process(callback_urls=(control.url,))
    task_id, marker = await working(runner, control)
    guard, shim = keepers(runner)
    for pid in (runner.process.pid, guard, shim):
        os.kill(pid, signal.SIGSTOP)
    for pid in (shim, guard) if killed else ():
        os.kill(pid, signal.SIGKILL)
    runner.close()
    left = note_alive(control, marker)
    assert alive(marker) != []
    await start_runner(callback_urls=(control.url,))
    assert (await control.final(task_id))["reason"] == "runner-lost"
    assert left == []


async def test_a_stopped_runner_loses_its_jobs_with_its_lease(
    control: HttpControlPlane,
    nats_server: EmbeddedNats,
    nats_control: NatsControlPlane,
    runner_process: StartProcess,
) -> None:
    runner = runner_process(callback_urls=(control.url,), nats_url=nats_server.runner_url, lease_seconds=2.0)
    task_id, marker = await working(runner, control)
    runner.end(signal.SIGSTOP)
    await all_gone(marker)
    runner.end(signal.SIGCONT)
    final = await control.final(task_id)
    assert (final["status"], final["reason"]) == ("failed", "runner-lost")
    assert "lease" in final["message"]


async def test_sigterm_ends_jobs_reports_them_and_exits(
    control: HttpControlPlane, runner_process: StartProcess
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    task_id, marker = await working(runner, control)
    runner.end(signal.SIGTERM)
    assert await eventually(lambda: runner.process.poll() is not None, DEADLINE)
    assert runner.process.returncode == 0
    assert alive(marker) == []
    assert (await control.final(task_id))["message"] == "its runner was stopped in order"
