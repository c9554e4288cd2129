"""Jobs that may signal only what they have started: shim, guard and runner are out of their reach."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.errors import RunnerConfigError
from runner.isolation.confinement import check_available
from runner.process.job_process import Job, JobEnd, JobProcess
from tests.integration.runner.harness import confinable

# The words of each attempt, then how the job's own child ended.
_REACH = """
import ctypes, os, signal, sys
def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])
shim = os.getppid()
guard = parent(shim)
runner = parent(guard)
for name, pid in (("shim", shim), ("guard", guard), ("runner", runner)):
    for number in (signal.SIGSTOP, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except PermissionError:
            print(name, signal.Signals(number).name, "refused")
os.kill(-1, signal.SIGURG)  # to all: one that does nothing unless it is waited for
print("trace", ctypes.CDLL(None).ptrace(16, shim, 0, 0))
child = os.fork()
if child == 0:
    signal.pause()
os.kill(child, signal.SIGKILL)
print("own", os.waitpid(child, 0)[1])
"""
ANSWERS = [f"{who} {what} refused" for who in ("shim", "guard", "runner") for what in ("SIGSTOP", "SIGKILL")]


async def run(directory: Path, **changes: Any) -> tuple[JobEnd, list[str]]:
    fields: dict[str, Any] = {"cwd": directory, "env": {"PATH": os.environ["PATH"]}, "grace": 0.3}
    fields |= {"output_bytes": 10_000, "tail_bytes": 100, "timeout": None, "lease": None}
    fields |= {"output": directory / "output", "lock": directory / "lock", **changes}
    command = [sys.executable, "-I", "-S", "-c", _REACH]
    process = await JobProcess.spawn(Job(own_signals=True, **{"command": command, **fields}))
    await process.started()
    ended = await process.ended()
    return ended, (directory / "output").read_text().splitlines()


async def test_it_reaches_nothing_but_its_own(tmp_path: Path) -> None:
    """Where the kernel cannot do it, the job does not start without it."""
    heard: list[int] = []
    before = signal.signal(signal.SIGURG, lambda number, _: heard.append(number))
    try:
        ended, said = await run(tmp_path)
    finally:
        signal.signal(signal.SIGURG, before)
    assert heard == []
    if confinable():
        assert said == [*ANSWERS, "trace -1", "own 9"]
        assert (ended.why, ended.exit_code) == ("exit", 0)
    else:
        assert (ended.why, said) == ("error", [])
        assert "cannot confine its signals" in (ended.message or "")


async def test_it_still_ends_when_it_is_told_to(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"cwd": tmp_path, "env": {"PATH": os.environ["PATH"]}, "grace": 0.3}
    fields |= {"output_bytes": 10_000, "tail_bytes": 100, "timeout": None, "lease": None}
    fields |= {"output": tmp_path / "output", "lock": tmp_path / "lock", "own_signals": confinable()}
    process = await JobProcess.spawn(Job(command=["sh", "-c", "trap '' TERM; sleep 300"], **fields))
    assert await process.started()
    process.stop("canceled", 0.2)
    ended = await process.ended()
    assert ended.why == "canceled"
    assert ended.signal in {signal.SIGTERM, signal.SIGKILL}


def test_a_kernel_that_cannot_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.isolation.confinement.ABI_WITH_SCOPES", 1_000_000)
    with pytest.raises(RunnerConfigError, match=r"needs Linux 6\.12"):
        check_available()
