"""Jobs with `--job-signals own` set limits, priorities and processors of their own only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runner.errors import RunnerConfigError
from runner.isolation import syscall_filter
from runner.isolation.confinement import check_available
from tests.integration.runner.harness import confinable
from tests.integration.runner.isolation.test_job_signals import run

# Of the shim, the guard and the runner; then, by number or as one of all processes of its user, of others.
_REACH = """
import ctypes, os, platform, resource
def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])
libc = ctypes.CDLL(None, use_errno=True)
ioprio_set, sched_setattr, kcmp, pidfd_getfd, process_vm_writev = {
    "x86_64": (251, 314, 312, 438, 311), "aarch64": (30, 274, 272, 438, 271)
}[platform.machine()]
def call(number, *words):
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    if libc.syscall(number, *words) < 0:
        raise OSError(ctypes.get_errno(), "")
def say(name, deed):
    try:
        deed()
    except OSError as error:
        print(name, error.errno)
    else:
        print(name, "done")
word = ctypes.create_string_buffer(8)
here, there = (ctypes.c_uint64 * 2)(ctypes.addressof(word), 8), (ctypes.c_uint64 * 2)(4096, 8)
victims = {"shim": os.getppid()}
victims["guard"] = parent(victims["shim"])
victims["runner"] = parent(victims["guard"])
for name, pid in victims.items():
    now = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    say(name + " prlimit", lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, now))
    say(name + " scheduler", lambda: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)))
    say(name + " param", lambda: os.sched_setparam(pid, os.sched_param(0)))
    say(name + " affinity", lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)))
    say(name + " nice", lambda: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid)))
    say(name + " group", lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(pid), 0))
    say(name + " ioprio", lambda: call(ioprio_set, 1, pid, (2 << 13) | 4))
    say(name + " attr", lambda: call(sched_setattr, pid, (ctypes.c_uint32 * 14)(56), 0))
    say(name + " kcmp", lambda: call(kcmp, os.getpid(), pid, 0, 1, 1))
    say(name + " vm", lambda: call(process_vm_writev, pid, here, 1, there, 1, 0))
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        print(name, "fd", error.errno)
    else:
        say(name + " fd", lambda: call(pidfd_getfd, handle, 1, 0))
say("user nice", lambda: os.setpriority(os.PRIO_USER, 0, 0))
say("user ioprio", lambda: call(ioprio_set, 3, 0, (2 << 13) | 4))
"""
DEEDS = ["prlimit", "scheduler", "param", "affinity", "nice", "group", "ioprio", "attr", "kcmp", "vm", "fd"]

_OWN = """
import os, resource, subprocess, threading
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))
resource.prlimit(os.getpid(), resource.RLIMIT_CORE)
os.nice(1)
os.setpriority(os.PRIO_PROCESS, 0, 2)
os.sched_setaffinity(0, os.sched_getaffinity(0))
thread = threading.Thread(target=int)
thread.start()
thread.join()
print(subprocess.run(["sh", "-c", "ulimit -n 100; ulimit -n; nice -n 1 sh -c 'echo nice'"],
                     capture_output=True, check=True, text=True).stdout.split())
"""


def script(words: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", words]


@pytest.mark.parametrize("deed", DEEDS)
async def test_others_are_out_of_its_reach(tmp_path: Path, deed: str) -> None:
    _, said = await run(tmp_path, command=script(_REACH))
    if confinable():
        assert [line for line in said if line.split()[:2] != ["user", deed] and line.split()[1] == deed] == [
            f"{who} {deed} 1" for who in ("shim", "guard", "runner")
        ]


async def test_all_of_its_user_are_out_of_its_reach(tmp_path: Path) -> None:
    _, said = await run(tmp_path, command=script(_REACH))
    if confinable():
        assert said[-2:] == ["user nice 1", "user ioprio 1"]


async def test_its_own_are_its_own(tmp_path: Path) -> None:
    ended, said = await run(tmp_path, command=script(_OWN))
    if confinable():
        assert said == ["['100', 'nice']"], said
        assert (ended.why, ended.exit_code) == ("exit", 0)


def test_a_machine_whose_calls_are_unknown_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscall_filter, "MACHINES", {})
    with pytest.raises(RunnerConfigError, match=r"needs (seccomp|Linux 6\.12)"):
        check_available()


@pytest.mark.parametrize("machine", syscall_filter.MACHINES)
def test_the_filter_has_steps_that_stay_in_it(machine: str) -> None:
    code = syscall_filter._program(syscall_filter.MACHINES[machine])
    steps = [memoryview(code)[at : at + 8] for at in range(0, len(code), 8)]
    for at, step in enumerate(steps):
        assert at + 1 + max(step[2], step[3]) < len(steps) or step[0] == syscall_filter.RETURN
    assert os.uname().machine in syscall_filter.MACHINES or not syscall_filter.available()
