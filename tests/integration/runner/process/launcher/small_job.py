"""Plain jobs with files of their own, to be started with a launcher or without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runner.process.job_process import Job, JobEnd, JobProcess
from runner.process.launcher.forking import Launcher

FORKING = b"runner.process.launcher.fork_server"
"""In the command line of the launcher, and so of what it forks."""


def small_job(directory: Path, command: list[str], **changes: Any) -> Job:
    """A job without timeout and lease, in a directory that is made for it."""
    directory.mkdir(exist_ok=True)
    fields: dict[str, Any] = {"cwd": directory, "env": {"PATH": os.environ["PATH"]}, "grace": 0.3}
    fields |= {"output": directory / "output", "lock": directory / "lock", "timeout": None, "lease": None}
    return Job(command=command, **{"output_bytes": 1 << 20, "tail_bytes": 100, **fields, **changes})


async def run(job: Job, launcher: Launcher | None) -> JobEnd:
    process = await JobProcess.spawn(job, launcher=launcher)
    await process.started()
    return await process.ended()


def is_forked(process: JobProcess) -> bool:
    """Whether its guard was forked by a launcher; the guard must be there."""
    return FORKING in Path(f"/proc/{process.pid}/cmdline").read_bytes()
