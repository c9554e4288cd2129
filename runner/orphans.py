"""Finding what a killed shim left behind, by the mark in the environment of its processes.

Only for the case that shim and runner did not get to do it: somebody killed the shim itself. A process
that wiped its environment is not found; the shim's own bookkeeping has no such gap.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from runner.shim import process_table, send
from runner.state import Key

SWEEP_SECONDS = 0.1


async def kill_orphans(key: Key, runner_id: str) -> None:
    """SIGKILL every process marked with this attempt and this runner, again and again until there is none.

    The runner is part of the mark: a second runner on this host may have got the same attempt.
    """
    while found := await asyncio.to_thread(_marked, key, runner_id):
        for pid, started in found:
            send(pid, started, signal.SIGKILL)
        await asyncio.sleep(SWEEP_SECONDS)


def _marked(key: Key, runner_id: str) -> list[tuple[int, str]]:
    names = {"TASK_ID": key.task_id, "ATTEMPT": key.attempt, "RUNNER_ID": runner_id}
    marks = {f"TOWPATH_{name}={value}".encode() for name, value in names.items()}
    found = []
    for pid, (_, started) in process_table().items():
        if pid != os.getpid() and marks <= set(_environment(pid)):
            found.append((pid, started))
    return found


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, a zombie, or not ours to look into
        return []
