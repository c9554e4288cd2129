"""A process that has gained privileges cannot be ended: this is told at once, and its end is waited for.

Here the shim has lost the right to signal other users (CAP_KILL), and the job has become one. Only root can
arrange that; elsewhere the job stays what its shim can end, and nothing is told.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.clock import boottime
from runner.process.shim_watch import LATE_SECONDS
from runner.process.tree.process_tree import below, look_at, process_table, refuses, send
from tests.support.repository import REPO
from tests.support.waiting import eventually

ROOT = os.geteuid() == 0
POWERLESS = ["setpriv", "--bounding-set=-kill"] if ROOT else []
OTHER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if ROOT else []
GRACE = 0.2
SAID = ", user 65534)"

_RUNS = """
import asyncio, dataclasses, json, sys
from pathlib import Path
from runner.process.job_process import Job, JobProcess

async def main():
    fields = json.loads(sys.argv[1])
    paths = {name: Path(fields.pop(name)) for name in ("cwd", "output", "lock")}
    process = await JobProcess.spawn(Job(**fields, **paths))
    await process.started()
    print(json.dumps(dataclasses.asdict(await process.ended()), default=str))

asyncio.run(main())
"""


@contextmanager
def started(directory: Path, command: list[str], **changes: Any) -> Iterator[subprocess.Popen[str]]:
    """A runner of this one job, which prints how it ended."""
    fields: dict[str, Any] = {
        "env": {"PATH": os.environ["PATH"]},
        "grace": GRACE,
        "lease": None,
        "timeout": None,
    }
    fields |= {"cwd": str(directory), "output": str(directory / "output"), "lock": str(directory / "lock")}
    fields |= {"output_bytes": 10_000, "tail_bytes": 100, "command": [*OTHER, *command], **changes}
    program = [*POWERLESS, sys.executable, "-c", _RUNS, json.dumps(fields)]
    with subprocess.Popen(program, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            left = below(process_table(), [process.pid])
            process.kill()
            for one in left:
                send(*one, signal.SIGKILL)


async def refused_pid(directory: Path) -> int:
    """The process that cannot be signaled, as the output of the job tells."""

    def line() -> str:
        output = directory / "output"
        lines = output.read_text().splitlines() if output.exists() else []
        return next((one for one in lines if SAID in one), "")

    told = await eventually(line)
    assert told.endswith("cannot be signaled by user 0: it goes on, and its end is waited for]")
    return int(told.partition("process ")[2].split()[0])


async def test_a_timeout_waits_for_it_and_is_still_what_ended_the_job(tmp_path: Path) -> None:
    with started(tmp_path, ["sleep", "300"], timeout=0.1) as runner:
        if ROOT:
            pid = await refused_pid(tmp_path)
            over = boottime() + GRACE + LATE_SECONDS + 2
            await eventually(lambda: boottime() > over)
            assert (look_at(pid) is not None, runner.poll()) == (True, None), (
                "it ended before its process did"
            )
            os.kill(pid, signal.SIGKILL)
        out, _ = runner.communicate(timeout=30)
    *logged, last = out.splitlines()
    ended = json.loads(last)
    assert ended["why"] == "timeout"
    assert (SAID in str(ended["refused"])) == ROOT
    assert ["a process of a job cannot be ended" in one for one in logged] == [True] * ROOT


async def test_what_is_left_behind_is_waited_for_too(tmp_path: Path) -> None:
    with started(tmp_path, ["sh", "-c", "sleep 300 & sleep 300 & exit 3"]) as runner:
        if ROOT:
            first = await refused_pid(tmp_path)
            seen = look_at(first)
            assert seen is not None
            assert runner.poll() is None
            assert not refuses(first, seen.started), "this test may"
            shim = seen.parent
            left = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
            assert len(left) == 2
            for pid in map(int, left):
                one = look_at(pid)
                assert one is not None
                assert send(pid, one.started, signal.SIGKILL)
        out, _ = runner.communicate(timeout=30)
    ended = json.loads(out.splitlines()[-1])
    assert (ended["why"], ended["exit_code"]) == ("exit", 3)
    assert (ended["refused"] is not None) == ROOT
    assert (" and 1 more cannot" in (tmp_path / "output").read_text()) == ROOT
