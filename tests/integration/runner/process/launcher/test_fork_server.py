"""What a job is when its guard was forked: what it was when its guard had an interpreter of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.process.job_process import JobProcess
from runner.process.launcher.forking import Launcher
from tests.bench.process_figures import anonymous_bytes
from tests.integration.runner.harness import (
    HttpControlPlane,
    RunnerProcess,
    name_of,
    named_below,
    submission,
)
from tests.integration.runner.process.launcher.small_job import is_forked, small_job

ROOT = os.geteuid() == 0
LAUNCHER_BYTES, ATTEMPT_BYTES = 12_000_000, 3_200_000
"""Measured with Python 3.11: 7 and 2.6 MB. With an interpreter of its own, an attempt takes 10 MB."""
SECRET = "a-secret-of-this-runner-and-no-other"

# Its environment, descriptors, signals, limits and all else that a process has from its parents.
_SHOW = """
import ctypes, os, re, resource, signal, sys
print(sorted(os.environ.items()))
print(os.getcwd(), os.umask(0), os.nice(0), os.getpriority(os.PRIO_PROCESS, 0))
print(os.getsid(0) == os.getpgrp() == os.getpid(), os.sched_getaffinity(0), os.getgroups(), os.getresuid())
kept = "SigBlk SigIgn SigCgt ShdPnd CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Groups Threads"
for line in open("/proc/self/status"):
    if line.partition(":")[0] in kept.split():
        print(line, end="")
for name in sorted(os.listdir("/proc/self/fd"), key=int)[:3]:
    print(name, re.sub("[0-9]+", "N", os.readlink("/proc/self/fd/" + name)))
print(len(os.listdir("/proc/self/fd")))
for file in ("limits", "cgroup", "oom_score_adj", "timerslack_ns", "loginuid", "personality"):
    try:
        print(open("/proc/self/" + file).read())
    except OSError as error:
        print(file, error.errno)
word = ctypes.c_int()
print(ctypes.CDLL(None).prctl(2, ctypes.byref(word)), word.value, ctypes.CDLL(None).prctl(3, 0))
print([os.readlink(f"/proc/self/ns/{one}") for one in sorted(os.listdir("/proc/self/ns"))])
sys.stdout.flush()
os.read(int(os.environ["FIFO"]), 1) if "FIFO" in os.environ else None
"""
SHOW = [sys.executable, "-I", "-S", "-c", _SHOW]


async def shown(directory: Path, launcher: Launcher | None, env: dict[str, str]) -> tuple[str, bool]:
    """What the job shows, and whether it was forked."""
    job = small_job(directory, SHOW, env=env)
    process = await JobProcess.spawn(job, launcher=launcher)
    forked = is_forked(process)
    await process.started()
    assert (await process.ended()).exit_code == 0
    return job.output.read_text().replace(str(directory), "HERE"), forked


async def test_a_job_is_the_same(launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_RUNNER", SECRET)
    env = {"PATH": os.environ["PATH"], "TWO LINES": "a\nb", "ÜMLAUT": "ö"}
    own, own_forked = await shown(tmp_path / "own", None, env)
    forked, is_one = await shown(tmp_path / "forked", launcher, env)
    assert (own_forked, is_one) == (False, True)
    assert own == forked
    assert SECRET not in forked
    assert "/dev/null" in forked


async def test_guard_and_shim_have_the_same_descriptors_and_parents(
    launcher: Launcher, tmp_path: Path
) -> None:
    seen = []
    for number, way in enumerate((None, launcher)):
        process = await JobProcess.spawn(small_job(tmp_path / str(number), ["sleep", "300"]), launcher=way)
        assert await process.started()
        [shim] = named_below(process.pid, "towpath-shim")
        assert (name_of(process.pid), way is None) == ("towpath-guard", not is_forked(process))
        seen.append([kinds_of(pid) for pid in (process.pid, shim)] if ROOT else [])
        assert process.pid in named_below(os.getpid(), "towpath-guard")
        process.stop("canceled", 0)
        await process.ended()
    assert seen[0] == seen[1]


def kinds_of(pid: int) -> list[str]:
    """What the descriptors of a process lead to, without numbers."""
    links = sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda link: int(link.name))
    return [str(link.readlink()).partition(":")[0].rpartition("/")[2] for link in links]


async def test_an_attempt_takes_little_memory(launcher: Launcher, tmp_path: Path) -> None:
    """Guard and shim together, with what the launcher gets back or loses by them."""
    first = await JobProcess.spawn(small_job(tmp_path / "first", ["true"]), launcher=launcher)
    assert is_forked(first)
    await first.started()
    await first.ended()
    assert launcher.pid is not None
    before = anonymous_bytes(launcher.pid) if ROOT else 0
    keepers = [launcher.pid]
    processes = []
    for number in range(8):
        job = small_job(tmp_path / str(number), ["sleep", "300"], secrets=("one-secret", "another-secret"))
        process = await JobProcess.spawn(job, launcher=launcher)
        assert await process.started()
        keepers += [process.pid, *named_below(process.pid, "towpath-shim")]
        processes.append(process)
    if ROOT:
        assert before < LAUNCHER_BYTES
        assert (sum(map(anonymous_bytes, keepers)) - before) / 8 < ATTEMPT_BYTES
    for process in processes:
        process.stop("canceled", 0)
        await process.ended()


async def test_the_launcher_has_no_secret(
    control: HttpControlPlane, runner_process: Callable[..., RunnerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor has it one of a job, which it has just let be started."""
    monkeypatch.setenv("OF_THE_RUNNER", SECRET)
    runner = runner_process(callback_urls=(control.url,), api_token=SECRET)
    body = submission(["sh", "-c", "echo $S"], env={"S": SECRET}, secret_names=["S"])
    await runner.submit({**body, **control.callback(body["task_id"])})
    final = await control.final(body["task_id"])
    assert final["output_tail"] == "[redacted]\n"
    [launcher] = named_below(runner.process.pid, "towpath-launch")
    assert SECRET.encode() not in Path(f"/proc/{launcher}/cmdline").read_bytes()
    if ROOT:
        assert Path(f"/proc/{launcher}/environ").read_bytes() == b""
        assert SECRET.encode() in memory_of(runner.process.pid)
        assert SECRET.encode() not in memory_of(launcher)
    else:
        with pytest.raises(PermissionError):
            Path(f"/proc/{launcher}/environ").read_bytes()


def memory_of(pid: int) -> bytes:
    """All that it could have written into."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if rights.startswith("rw") and "[v" not in line:
                start, end = (int(one, 16) for one in place.split("-"))
                memory.seek(start)
                found.append(memory.read(end - start))
    return b"".join(found)
