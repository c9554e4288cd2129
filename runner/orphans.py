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


async def kill_orphans(key: Key) -> None:
    """SIGKILL every process marked with this attempt, again and again until there is none."""
    while found := await asyncio.to_thread(_marked, key):
        for pid, started in found:
            send(pid, started, signal.SIGKILL)
        await asyncio.sleep(SWEEP_SECONDS)


def _marked(key: Key) -> list[tuple[int, str]]:
    marks = {f"TOWPATH_TASK_ID={key.task_id}".encode(), f"TOWPATH_ATTEMPT={key.attempt}".encode()}
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
