"""Ends what is left of attempts whose shim, guard or runner was stopped or killed.

A shim's guard ends what its shim leaves, so this is for what remains where the guard is gone or does not
answer. Four marks lead to the processes of an attempt: descent from its guard and shim; descent from a runner
that is the last parent of all that it has started (`Adoption`); the job's cgroup, where there is one; and the
environment. A job is not found only if it has killed its guard and its shim *and* shed the environment,
without a cgroup, and its runner is dead as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from runner.cleanup.removal import discard
from runner.isolation import cgroup
from runner.isolation.process_traits import adopt_orphans
from runner.process import shim_lock
from runner.process.process_tree import DEAD, below, look_at, process_table, send
from runner.process.shim_protocol import keepers
from runner.store.state import Key

SWEEP_SECONDS = 0.1
TROUBLE_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
"""How long the guard and the shim of a dead runner may take to end by themselves."""

log = structlog.get_logger(__name__)


@dataclass
class Adoption:
    """Which children of this process are its own. What else becomes its child has lost its guard.

    Off where the process is not a runner's alone.
    """

    on: bool = False
    own: set[int] = field(default_factory=set)
    starting: int = 0

    def begin(self) -> None:
        """Every orphan below becomes a child of this process from now on, not of init.

        What is a child already was there before the program, as in `sh -c 'something & exec towpath runner'`.
        """
        self.own.update(pid for pid, seen in process_table().items() if seen.parent == os.getpid())
        adopt_orphans()
        self.on = True

    def strangers(self) -> list[tuple[int, str]] | None:
        """Living orphans and what is below them; None while it cannot be said. Reaps the dead ones."""
        if not self.on:
            return []
        if self.starting:
            return None
        table = process_table()
        roots = [pid for pid, seen in table.items() if seen.parent == os.getpid() and pid not in self.own]
        for pid in roots:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        living = [(pid, table[pid].started) for pid in roots if table[pid].state not in DEAD]
        return living + below(table, roots)


@dataclass
class Marks:
    """What the processes of one attempt are known by."""

    environment: set[bytes]
    processes: list[tuple[int, str]] = field(default_factory=list)
    """Guard and shim, with their start times."""
    cgroup: str | None = None

    def living(self) -> list[tuple[int, str]]:
        """What bears a mark and lives: the job's own; once there is none, shim and guard, its parents."""
        table = process_table()
        keepers = [
            (pid, started)
            for pid, started in reversed(self.processes)
            if pid in table and table[pid].started == started and table[pid].state not in DEAD
        ]
        found = below(table, [pid for pid, _ in keepers])
        if self.environment:
            marked = (pid for pid in table if pid != os.getpid() and self.environment <= _environment(pid))
            found += [(pid, table[pid].started) for pid in marked]
        return [one for one in dict.fromkeys(found) if one not in keepers] or keepers


def environment_marks(env: Mapping[str, str]) -> set[bytes]:
    """What only this attempt of this runner has in its environment; empty where that is not whole."""
    names = ("TOWPATH_TASK_ID", "TOWPATH_ATTEMPT", "TOWPATH_RUNNER_ID")
    return {f"{name}={env[name]}".encode() for name in names} if set(names) <= set(env) else set()


def marks_of(key: Key, runner_id: str) -> Marks:
    """The runner is part of the mark: a second runner on this host may have got the same attempt."""
    values = {"TASK_ID": key.task_id, "ATTEMPT": str(key.attempt), "RUNNER_ID": runner_id}
    return Marks(environment_marks({f"TOWPATH_{name}": value for name, value in values.items()}))


async def nothing_left(shims: Path, key: Key, runner_id: str) -> None:
    """Wait until an earlier run's shim is gone, which has killed everything by then, and make sure of it.

    One that does not end (it was stopped with its guard, say) is ended.
    """
    lock = shims / f"{key.file_stem}.lock"
    marks = marks_of(key, runner_id)
    handle = shim_lock.open_own(lock)
    if handle is not None:
        try:
            facts = shim_lock.read_facts(handle)
            if facts is not None:
                marks.processes = keepers(facts)
                if cgroup.is_of(facts.cgroup, f"towpath-{runner_id}", key.file_stem):
                    marks.cgroup = facts.cgroup
            rounds = 0
            while not _taken(handle):
                rounds += 1
                if rounds * SWEEP_SECONDS > PATIENCE_SECONDS:
                    with contextlib.suppress(OSError):  # no descriptors are left: the next round tries again
                        await asyncio.to_thread(_kill, marks)
                await asyncio.sleep(SWEEP_SECONDS)
        finally:
            os.close(handle)
    await end_all(marks)
    discard(lock)  # what cannot be removed is no lock of a shim


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def end_all(marks: Marks, adoption: Adoption | None = None) -> None:
    """SIGKILL everything that bears one of the marks, again and again until there is none."""
    while True:
        try:
            left = await asyncio.to_thread(_kill, marks)
            strangers = adoption.strangers() if adoption is not None else []
            _send_all(strangers or [])
            if not left and strangers == []:
                break
        except OSError as error:  # no descriptors are left: nothing is known, so it goes on
            log.warning("cannot look for what is left of a job", why=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)
        await asyncio.sleep(SWEEP_SECONDS)
    if marks.cgroup is not None:
        await asyncio.to_thread(cgroup.remove, marks.cgroup)


def _kill(marks: Marks) -> bool:
    """Whether there was something."""
    if marks.cgroup is not None:
        cgroup.kill(marks.cgroup)
    living = marks.living()
    _send_all(living)
    return bool(living) or (marks.cgroup is not None and cgroup.occupied(marks.cgroup))


def _send_all(processes: Iterable[tuple[int, str]]) -> None:
    for pid, started in processes:
        send(pid, started, signal.SIGKILL)


def state_of(pid: int, started: str) -> str | None:
    """The letter of its state; None where it is gone or cannot be seen."""
    try:
        seen = look_at(pid)
    except OSError:  # no descriptors are left
        return None
    return seen.state if seen is not None and seen.started == started else None


def _environment(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:  # gone, a zombie, or not ours to look into
        return set()
