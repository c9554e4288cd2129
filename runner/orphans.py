"""Making sure that nothing is left of an attempt whose runner or shim was killed.

A shim that outlived its runner ends its job and then itself, so the runner that comes back waits for it.
Where somebody killed the shim itself, what it left is found by the mark in the environment of its
processes. A process that wiped its environment is not found; the shim's own bookkeeping has no such gap.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from pathlib import Path

from runner.process_tree import process_table, send
from runner.state import Key

SWEEP_SECONDS = 0.1


async def nothing_left(shims: Path, key: Key, runner_id: str) -> None:
    """Wait until an earlier run's shim is gone, which has killed everything by then, and make sure of it."""
    lock = shims / f"{key.file_stem}.lock"
    if lock.exists():
        handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            while True:
                if _taken(handle):
                    break
                await asyncio.sleep(SWEEP_SECONDS)
        finally:
            os.close(handle)
        lock.unlink(missing_ok=True)
    await kill_orphans(key, runner_id)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
