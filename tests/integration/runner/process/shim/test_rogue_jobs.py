"""A job that stops, traces or kills its shim, or the shim's guard, ends all the same, with its true cause."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from infra.nats.embedded_server import EmbeddedNats
from runner.clock import boottime
from runner.isolation.cgroup import own_cgroup
from runner.process.job_process import Job, JobEnd, JobProcess
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    NatsControlPlane,
    RunnerProcess,
    alive,
    all_gone,
    new_marker,
    submission,
)
from tests.integration.runner.process.shim.rogue import rogue_job
from tests.support.waiting import eventually

MARKS = {"TOWPATH_TASK_ID": "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11", "TOWPATH_ATTEMPT": "4"}
StartProcess = Callable[..., RunnerProcess]
STOPPING = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "restop", "trace", "stop-both", "restop-both", "stop-itself"]


class RogueHarness:
    """Starts rogue jobs, and keeps what they left for the end of the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.marker = new_marker()
        self.processes: list[JobProcess] = []

    async def start(self, mode: str, *, seconds: float = 300, **changes: Any) -> JobProcess:
        env = {"PATH": os.environ["PATH"], "TOWPATH_RUNNER_ID": self.marker, **MARKS}
        fields: dict[str, Any] = {"cwd": self.directory, "env": env, "grace": 0.3, "output_bytes": 1 << 20}
        fields |= {"output": self.directory / "output", "lock": self.directory / "lock", "timeout": None}
        fields |= {"tail_bytes": 100, "lease": None, **changes}
        process = await JobProcess.spawn(Job(command=rogue_job(mode, self.marker, seconds), **fields))
        self.processes.append(process)
        assert await process.started()
        return process

    async def end(self, process: JobProcess) -> JobEnd:
        """How it ended; at that moment nothing of it was left."""
        ended = await process.ended()
        assert alive(self.marker) == []
        return ended


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[RogueHarness]:
    made = RogueHarness(tmp_path)
    yield made
    for process in made.processes:
        await process.close()
    await all_gone(made.marker)


@pytest.mark.parametrize("mode", STOPPING)
async def test_a_cancel_is_obeyed(harness: RogueHarness, mode: str) -> None:
    process = await harness.start(mode)
    process.stop("canceled", 0.3)
    assert (await harness.end(process)).why == "canceled"


@pytest.mark.parametrize("mode", ["SIGSTOP", "SIGTSTP", "stop-both", "stop-itself"])
async def test_a_timeout_is_kept(harness: RogueHarness, mode: str) -> None:
    process = await harness.start(mode, timeout=0.5)
    assert (await harness.end(process)).why == "timeout"


@pytest.mark.parametrize("mode", ["SIGSTOP", "SIGTTOU", "stop-both", "stop-itself"])
async def test_the_lease_is_kept(harness: RogueHarness, mode: str) -> None:
    process = await harness.start(mode, lease=boottime() + 2.0)
    assert (await harness.end(process)).why == "lease"


@pytest.mark.parametrize("mode", ["SIGSTOP", "stop-both"])
async def test_a_job_whose_shim_was_stopped_once_goes_on(harness: RogueHarness, mode: str) -> None:
    process = await harness.start(mode, seconds=2.0)
    ended = await harness.end(process)
    assert (ended.why, ended.exit_code) == ("exit", 0)


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("SIGTERM", "its shim got SIGTERM"),
        ("SIGINT", "its shim got SIGINT"),
        ("SIGHUP", "its shim got SIGHUP"),
        ("SIGQUIT", "its shim got SIGQUIT"),
        ("SIGUSR1", "its shim was killed by SIGUSR1"),
        ("SIGKILL", "its shim was killed by SIGKILL"),
        ("restop", "its shim was stopped again and again (SIGSTOP)"),
        *([("trace", "its shim was stopped")] if os.geteuid() == 0 else []),  # others may not trace it
        ("guard-SIGTERM", "its shim got SIGTERM"),
        ("guard-SIGHUP", "its shim got SIGHUP"),
        ("guard-SIGUSR2", "the guard of its shim was killed"),
        ("guard-SIGKILL", "the guard of its shim was killed"),
        ("stop-shim-kill-guard", "the guard of its shim was killed"),
        # Without a cgroup it takes a runner with a process of its own: below.
        *([("kill-both", "the guard of its shim was killed by SIGKILL")] if own_cgroup() else []),
    ],
)
async def test_the_end_names_what_was_done_to_the_shim(harness: RogueHarness, mode: str, says: str) -> None:
    cgroup = own_cgroup()
    marked = {} if cgroup is None else {"cgroup": str(cgroup / f"towpath-{harness.marker}" / "one")}
    ended = await harness.end(await harness.start(mode, **marked))
    assert ended.why == "shim-lost"
    assert says in (ended.message or "")
    assert cgroup is None or not (cgroup / f"towpath-{harness.marker}").exists()


async def test_another_job_is_left_alone(harness: RogueHarness, tmp_path: Path) -> None:
    quiet = RogueHarness(tmp_path)
    bystander = await quiet.start("none", lock=tmp_path / "other")
    await harness.end(await harness.start("SIGKILL"))
    assert len(alive(quiet.marker)) == 2
    bystander.stop("canceled", 0)
    assert (await quiet.end(bystander)).why == "canceled"


async def rogue(
    runner: RunnerProcess, control: HttpControlPlane, mode: str, **changes: Any
) -> tuple[str, str]:
    """A rogue job at work, with its daemon, or ended by its own deed; its task id and marker."""
    marker = new_marker()
    body = submission(rogue_job(mode, marker), **changes)
    await runner.submit({**body, **control.callback(body["task_id"])})
    await eventually(lambda: len(alive(marker)) >= 2 or "failed" in control.said(body["task_id"]), DEADLINE)
    return body["task_id"], marker


@pytest.mark.parametrize("mode", ["SIGSTOP", "restop", "stop-both", "restop-both"])
async def test_a_runner_that_is_told_to_end_ends_it(
    control: HttpControlPlane, runner_process: StartProcess, mode: str
) -> None:
    runner = runner_process(callback_urls=(control.url,))
    task_id, marker = await rogue(runner, control, mode)
    runner.end(signal.SIGTERM)
    assert await eventually(lambda: runner.process.poll() is not None, DEADLINE)
    assert alive(marker) == []
    assert runner.process.returncode == 0
    final = await control.final(task_id)
    if "restop" not in mode:  # there it may have been given up before
        assert final["message"] == "its runner was stopped in order"


@pytest.mark.parametrize("mode", ["SIGSTOP", "restop"])
async def test_a_killed_runner_takes_it_along(
    control: HttpControlPlane, start_runner: StartRunner, runner_process: StartProcess, mode: str
) -> None:
    """Also the shim that is stopped at the very moment: its guard sees the runner's end."""
    runner = runner_process(callback_urls=(control.url,))
    task_id, marker = await rogue(runner, control, mode)
    runner.close()
    await all_gone(marker)
    await start_runner(callback_urls=(control.url,))
    assert (await control.final(task_id))["reason"] in {"runner-lost", "killed"}


async def test_a_stopped_runner_takes_it_along_by_the_end_of_its_lease(
    control: HttpControlPlane,
    nats_server: EmbeddedNats,
    nats_control: NatsControlPlane,
    runner_process: StartProcess,
) -> None:
    runner = runner_process(callback_urls=(control.url,), nats_url=nats_server.runner_url, lease_seconds=2.0)
    _, marker = await rogue(runner, control, "restop")
    runner.end(signal.SIGSTOP)
    await all_gone(marker)


@pytest.mark.parametrize("cgroups", [True, False])
@pytest.mark.parametrize("mode", ["kill-both", "stop-shim-kill-guard"])
async def test_what_has_lost_shim_and_guard_and_has_no_environment_is_found(
    control: HttpControlPlane, runner_process: StartProcess, mode: str, cgroups: bool
) -> None:
    runner = runner_process(callback_urls=(control.url,), job_cgroups=cgroups)
    quiet_id, quiet = await rogue(runner, control, "none")
    task_id, marker = await rogue(runner, control, mode)
    final = await control.final(task_id)
    assert alive(marker) == []
    assert (final["status"], final["reason"]) == ("failed", "killed")
    assert "the guard of its shim was killed" in final["message"]
    assert len(alive(quiet)) == 2
    runner.end(signal.SIGTERM)
    await control.final(quiet_id)
