"""A launcher that is killed, stopped or unable to fork loses no job and starts none twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from runner.process.job_process import JobProcess
from runner.process.launcher.forking import Launcher
from runner.process.orphans import Adoption
from runner.process.tree.process_tree import DEAD, process_table
from tests.integration.runner.harness import DEADLINE
from tests.integration.runner.process.launcher.small_job import is_forked, run, small_job
from tests.support.waiting import eventually

WAITING = ["sh", "-c", "echo up; until test -e ../go; do sleep 0.05; done"]
QUICK = 0.3


async def up(launcher: Launcher, but: int | None = None) -> int:
    """The pid of the launcher, once it is another than `but`."""
    return await eventually(lambda: launcher.pid if launcher.pid != but else None, DEADLINE)


async def forked(launcher: Launcher, directory: Path) -> bool:
    """Whether the next job is forked; it must end well."""
    process = await JobProcess.spawn(small_job(directory, ["true"]), launcher=launcher)
    seen = is_forked(process)
    await process.started()
    assert (await process.ended()).exit_code == 0
    return seen


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_it_comes_back_when_it_was_killed(launcher: Launcher, tmp_path: Path, number: int) -> None:
    first = await up(launcher)
    assert await forked(launcher, tmp_path / "first")
    os.kill(first, number)
    await up(launcher, first)
    assert await forked(launcher, tmp_path / "second")


async def test_its_jobs_go_on_without_it(launcher: Launcher, tmp_path: Path) -> None:
    first = await up(launcher)
    jobs = [small_job(tmp_path / str(number), WAITING) for number in range(3)]
    processes = [await JobProcess.spawn(job, launcher=launcher) for job in jobs]
    assert all([await process.started() for process in processes])
    os.kill(first, signal.SIGKILL)
    await up(launcher, first)
    (tmp_path / "go").touch()
    ended = [await process.ended() for process in processes]
    assert [(end.why, end.exit_code) for end in ended] == [("exit", 0)] * 3
    assert [job.output.read_text() for job in jobs] == ["up\n"] * 3


async def test_jobs_that_it_was_about_to_start_when_it_was_killed_start_once(
    launcher: Launcher, tmp_path: Path
) -> None:
    jobs = [small_job(tmp_path / str(number), ["sh", "-c", "echo x >> ran"]) for number in range(64)]
    ending = asyncio.gather(*(run(job, launcher) for job in jobs))
    deaths = 0
    while not ending.done():
        await asyncio.wait({ending}, timeout=0.02)
        with contextlib.suppress(ProcessLookupError):  # it was, a moment ago
            if launcher.pid is not None:
                os.kill(launcher.pid, signal.SIGKILL)
                deaths += 1
    assert deaths > 1
    assert [(end.why, end.exit_code) for end in ending.result()] == [("exit", 0)] * 64
    assert [(job.cwd / "ran").read_text() for job in jobs] == ["x\n"] * 64


async def test_many_start_at_once(launcher: Launcher, tmp_path: Path) -> None:
    """More than are asked for at the same time; nothing of them stays."""
    await forked(launcher, tmp_path / "first")
    before = open_files()
    with capture_logs() as logs:
        jobs = [small_job(tmp_path / str(number), ["sh", "-c", f"exit {number % 3}"]) for number in range(80)]
        ended = await asyncio.gather(*(run(job, launcher) for job in jobs))
    assert [end.exit_code for end in ended] == [number % 3 for number in range(80)]
    assert [entry for entry in logs if entry["log_level"] != "info"] == []
    assert zombies() == []
    await eventually(lambda: open_files() <= before, DEADLINE)


async def test_a_guard_whose_launch_was_given_up_is_reaped(launcher: Launcher, tmp_path: Path) -> None:
    pid = await up(launcher)
    assert await forked(launcher, tmp_path / "first")
    before = open_files()
    os.kill(pid, signal.SIGSTOP)
    launching = asyncio.create_task(launcher.launch())
    await eventually(lambda: open_files() == before + 2, DEADLINE)  # the launcher's ends are on their way
    launching.cancel()
    await asyncio.wait({launching})
    assert launching.cancelled()
    os.kill(pid, signal.SIGCONT)
    assert await forked(launcher, tmp_path / "second")  # so the guard before it was forked, too
    assert await eventually(lambda: (zombies(), open_files()) == ([], before), DEADLINE)


async def test_a_launch_may_be_canceled_at_any_step(launcher: Launcher, tmp_path: Path) -> None:
    assert await forked(launcher, tmp_path / "first")
    before = open_files()
    for steps in [*range(1, 16)] * 3:
        launching = asyncio.create_task(launcher.launch())
        for _ in range(steps):
            await asyncio.sleep(0)
        launching.cancel()
        await asyncio.wait({launching})
        if not launching.cancelled():
            guard, channels = launching.result()
            channels.close()
            await guard.wait()
    assert await forked(launcher, tmp_path / "second")
    assert await eventually(lambda: (zombies(), open_files()) == ([], before), DEADLINE)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def zombies() -> list[int]:
    return [pid for pid, seen in process_table().items() if seen.parent == os.getpid() and seen.state in DEAD]


async def test_one_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    launcher = Launcher(Adoption(), answer_seconds=QUICK)
    await launcher.start()
    try:
        assert await eventually(lambda: forked(launcher, tmp_path / "first"), DEADLINE)
        first = await up(launcher)
        os.kill(first, signal.SIGSTOP)
        job = small_job(tmp_path / "second", ["sh", "-c", "echo x >> ran"])
        with capture_logs() as logs:
            assert (await run(job, launcher)).exit_code == 0
        assert (job.cwd / "ran").read_text() == "x\n"
        assert "it did not answer" in [entry.get("why") for entry in logs]
        await up(launcher, first)
        await eventually(lambda: zombies() == [], DEADLINE)  # of launches that were too slow at first
    finally:
        await launcher.stop()


async def test_one_without_descriptors_is_replaced(launcher: Launcher, tmp_path: Path) -> None:
    first = await up(launcher)
    assert await forked(launcher, tmp_path / "first")
    resource.prlimit(first, resource.RLIMIT_NOFILE, (0, 0))
    assert not await forked(launcher, tmp_path / "second")
    await up(launcher, first)
    assert await eventually(lambda: forked(launcher, tmp_path / "third"), DEADLINE)


_CANNOT_FORK = """
import errno, sys; sys.path.append(sys.argv[1])
from runner.process.launcher import fork_server
def clone():
    raise OSError(errno.EAGAIN, "")
fork_server.clone = clone
fork_server.serve(None)
"""


async def test_one_that_cannot_fork_tells_why_and_stays(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.process.launcher.forking.PROGRAM", _CANNOT_FORK)
    await launcher.stop()
    await launcher.start()
    first = await up(launcher)
    with capture_logs() as logs:
        assert (await run(small_job(tmp_path / "one", ["true"]), launcher)).exit_code == 0
    assert [entry["why"] for entry in logs] == ["it cannot fork: Resource temporarily unavailable"]
    assert launcher.pid == first


async def test_one_that_no_thread_can_wait_for_is_tried_again(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beside a job that takes all processes that its user may have: asyncio waits in a thread."""
    first = await up(launcher)

    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    with capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", fails)
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: "can't start new thread" in [entry.get("why") for entry in logs], DEADLINE)
    await up(launcher, first)


async def test_one_that_ends_at_once_is_tried_less_and_less(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.process.launcher.forking.PROGRAM", "raise SystemExit(3)")
    with capture_logs() as logs:
        await launcher.stop()
        await launcher.start()
        assert await eventually(lambda: len(logs) >= 3, DEADLINE)
        assert (await run(small_job(tmp_path / "one", ["true"]), launcher)).exit_code == 0
    ends = [entry for entry in logs if "started again" in entry["event"]]
    assert {entry["why"] for entry in ends} == {"exit code 3"}
    pauses = [entry["pause_seconds"] for entry in ends]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1]
