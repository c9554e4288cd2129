"""A job that takes the descriptors of its shim and guard is ended all the same, with all that it started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runner.clock import boottime
from runner.process.job_process import Job, JobEnd, JobProcess
from tests.integration.runner.harness import DEADLINE, alive, all_gone, new_marker
from tests.support.waiting import eventually

# Takes the descriptors, then has a daemon in a session of its own that takes no SIGTERM, and a child of that.
_BLINDING = """
import os, resource, signal, sys, time
def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])
shim = os.getppid()
victims = {"shim": [shim], "guard": [parent(shim)], "both": [shim, parent(shim)]}[sys.argv[1]]
for pid in victims:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.fork()
        time.sleep(300)
    os._exit(0)
if sys.argv[3] == "kill":
    while os.getppid() == shim:
        time.sleep(1)
        os.kill(shim, signal.SIGKILL)
    time.sleep(300)
time.sleep(float(sys.argv[3]))
"""


class Blinded:
    """Starts one such job."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.marker = new_marker()
        self.process: JobProcess | None = None

    async def start(self, victims: str, seconds: float | str = 300, **changes: Any) -> JobProcess:
        command = [sys.executable, "-I", "-S", "-c", _BLINDING, victims, self.marker, str(seconds)]
        fields: dict[str, Any] = {"cwd": self.directory, "env": {"PATH": os.environ["PATH"]}, "grace": 0.3}
        fields |= {"output": self.directory / "output", "lock": self.directory / "lock", "timeout": None}
        fields |= {"output_bytes": 10_000, "tail_bytes": 100, "lease": None, **changes}
        self.process = await JobProcess.spawn(Job(command=command, **fields))
        assert await self.process.started()
        assert await eventually(lambda: len(alive(self.marker)) >= 3, DEADLINE)
        return self.process

    async def end(self) -> JobEnd:
        assert self.process is not None
        ended = await self.process.ended()
        assert alive(self.marker) == []
        return ended


@pytest.fixture
async def blinded(tmp_path: Path) -> AsyncIterator[Blinded]:
    made = Blinded(tmp_path)
    yield made
    if made.process is not None:
        await made.process.close()
    await all_gone(made.marker)


VICTIMS = ["shim", "guard", "both"]


@pytest.mark.parametrize("victims", VICTIMS)
async def test_a_cancel_is_obeyed(blinded: Blinded, victims: str) -> None:
    process = await blinded.start(victims)
    process.stop("canceled", 0.3)
    assert (await blinded.end()).why == "canceled"


@pytest.mark.parametrize("victims", VICTIMS)
async def test_a_timeout_and_a_lease_are_kept(blinded: Blinded, victims: str) -> None:
    await blinded.start(victims, timeout=3.0, lease=boottime() + 60)
    assert (await blinded.end()).why == "timeout"


@pytest.mark.parametrize("victims", VICTIMS)
async def test_what_it_leaves_behind_ends_with_it(blinded: Blinded, victims: str) -> None:
    await blinded.start(victims, seconds=1.0)
    ended = await blinded.end()
    assert (ended.why, ended.exit_code) == ("exit", 0)


@pytest.mark.parametrize("victims", VICTIMS)
async def test_a_blinded_guard_ends_what_a_killed_shim_leaves(blinded: Blinded, victims: str) -> None:
    await blinded.start(victims, seconds="kill")
    ended = await blinded.end()
    assert (ended.why, ended.message) == ("shim-lost", "its shim was killed by SIGKILL")


_LISTING = """
import os, resource, signal
from runner.process.tree import proc_listing
proc_listing.hold()
child = os.fork()
if child == 0:
    signal.pause()
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
print(proc_listing.children() == [child])
os.kill(child, signal.SIGKILL)
print(proc_listing.children() == [child])
os.waitpid(child, 0)
print(proc_listing.children())
"""


def test_the_children_are_known_without_a_descriptor() -> None:
    done = subprocess.run([sys.executable, "-c", _LISTING], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "[]"]
