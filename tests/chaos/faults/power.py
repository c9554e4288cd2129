"""Cuts the power of a machine: everything on it stops at one moment, and its disks forget what was not
synced.

First all processes are stopped, so that nothing is acknowledged any more; then they are killed without
being woken, since a process that ran for one more moment might acknowledge what the disks then forget.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from tests.chaos.deployments.harness import Machine
from tests.chaos.machines.processes import families_of, runs

END_SECONDS = 20.0
LOOK_SECONDS = 0.02


async def cut_power(machine: Machine) -> None:
    """Returns when the disks are mounted again; nothing is started. RuntimeError: something lives on."""
    for part in machine.parts:
        part.expect_end()
    stopped = _stop_all(machine)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = asyncio.get_running_loop().time() + END_SECONDS
    while left := [pid for pid in stopped if runs(pid)]:
        if asyncio.get_running_loop().time() > deadline:
            raise RuntimeError(f"processes {left} of {machine.name} outlive SIGKILL")
        await asyncio.sleep(LOOK_SECONDS)
    for disk in machine.disks:
        await asyncio.to_thread(disk.cut_power)


def _stop_all(machine: Machine) -> set[int]:
    """Stop every process of the machine; again until none has been started meanwhile."""
    stopped: set[int] = set()
    while True:
        roots = {part.pid for part in machine.parts if part.pid is not None}
        new = families_of(roots) - stopped
        if not new:
            return stopped
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= new
