"""A runner whose launcher is killed goes on; no launcher outlives its runner."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    RunnerProcess,
    alive,
    all_gone,
    all_up,
    name_of,
    named_below,
    new_marker,
    resisting_job,
    submission,
)
from tests.integration.runner.process.launcher.small_job import FORKING
from tests.support.waiting import eventually

StartProcess = Callable[..., RunnerProcess]
NAME = "towpath-launch"


async def launcher_of(runner: RunnerProcess, *but: int) -> int:
    """The pid of its launcher, which is none of `but`."""
    found = await eventually(lambda: set(named_below(runner.process.pid, NAME)) - set(but), DEADLINE)
    [pid] = found
    return pid


async def begin(runner: RunnerProcess, control: HttpControlPlane, command: list[str]) -> str:
    body = submission(command)
    await runner.submit({**body, **control.callback(body["task_id"])})
    return str(body["task_id"])


async def test_a_killed_launcher_takes_no_job_along_and_is_replaced(
    control: HttpControlPlane, runner_process: StartProcess, tmp_path: Path
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    go = tmp_path / "go"
    task_id = await begin(runner, control, ["sh", "-c", 'until test -e "$0"; do sleep 0.05; done', str(go)])
    [guard] = await eventually(lambda: named_below(runner.process.pid, "towpath-guard"), DEADLINE)
    assert FORKING in Path(f"/proc/{guard}/cmdline").read_bytes()
    first = await launcher_of(runner)
    os.kill(first, signal.SIGKILL)
    await launcher_of(runner, first)
    following = await begin(runner, control, ["sh", "-c", "exit 3"])
    assert (await control.final(following))["exit_code"] == 3
    go.touch()
    assert (await control.final(task_id))["exit_code"] == 0
    assert name_of(guard) == ""
    runner.end(signal.SIGTERM)
    assert await eventually(lambda: runner.process.poll() is not None, DEADLINE)
    assert runner.process.returncode == 0


@pytest.mark.parametrize("stopped", [False, True])
async def test_nothing_of_a_killed_runner_stays(
    control: HttpControlPlane, runner_process: StartProcess, stopped: bool
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    marker = new_marker()
    await begin(runner, control, resisting_job(marker))
    await all_up(marker)
    launcher = await launcher_of(runner)
    if stopped:
        os.kill(launcher, signal.SIGSTOP)
    runner.close()
    await all_gone(marker)
    await eventually(lambda: name_of(launcher) != NAME, DEADLINE)


async def test_the_death_of_launcher_and_runner_at_once_ends_the_jobs(
    control: HttpControlPlane, runner_process: StartProcess
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    marker = new_marker()
    await begin(runner, control, resisting_job(marker))
    await all_up(marker)
    launcher = await launcher_of(runner)
    os.kill(runner.process.pid, signal.SIGSTOP)
    os.kill(launcher, signal.SIGKILL)
    assert len(alive(marker)) == 4
    runner.close()
    await all_gone(marker)


async def test_a_runner_that_is_told_to_end_ends_its_launcher(
    control: HttpControlPlane, runner_process: StartProcess
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    assert (await control.final(await begin(runner, control, ["true"])))["exit_code"] == 0
    launcher = await launcher_of(runner)
    runner.end(signal.SIGTERM)
    assert await eventually(lambda: runner.process.poll() is not None, DEADLINE)
    assert (runner.process.returncode, name_of(launcher)) == (0, "")
