"""Kills processes left by attempts whose shim, guard or runner was stopped or killed.

A guard kills what its shim leaves, so this handles only a guard that is gone or does not respond. Four marks
identify the processes of an attempt: descent from its guard and shim; descent from a runner that adopts all
orphans of the processes it started (`Adoption`); the job's cgroup, if any; and the environment. A job escapes
only if it has killed its guard and its shim *and* cleared the environment, without a cgroup, and its runner
is dead as well.
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

from domain.identifiers import RunnerId
from runner.cleanup.removal import discard
from runner.isolation import cgroup
from runner.isolation.process_traits import adopt_orphans
from runner.process.shim import lock_file
from runner.process.shim.protocol import keepers
from runner.process.tree.process_tree import DEAD, below, look_at, process_table, send
from runner.process.tree.refusals import refusal, warning
from runner.store.state import Key

SWEEP_SECONDS = 0.1
TROUBLE_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
"""How long the guard and the shim of a dead runner may take to end by themselves."""

log = structlog.get_logger(__name__)


@dataclass
class Adoption:
    """Tells this process's own children from orphans that it adopted, which have lost their guard.

    Disabled if the process does more than run one runner.
    """

    on: bool = False
    own: set[int] = field(default_factory=set)
    starting: int = 0

    def turn_on(self) -> None:
        """From now on, orphans below this process become its children, not those of init.

        Existing children are of an earlier program, as in `sh -c 'something & exec towpath runner'`.
        """
        self.own.update(pid for pid, seen in process_table().items() if seen.parent == os.getpid())
        adopt_orphans()
        self.on = True

    def strangers(self) -> list[tuple[int, str]] | None:
        """Living orphans and their descendants; None if that cannot be determined. Reaps dead ones."""
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
    """What identifies the processes of one attempt."""

    environment: set[bytes]
    processes: list[tuple[int, str]] = field(default_factory=list)
    """Guard and shim, with their start times."""
    cgroup: str | None = None
    refused: bool = False
    """One of them could not be signaled, and this was logged."""

    def living(self) -> list[tuple[int, str]]:
        """Living processes with a mark: those of the job; after them its parents, shim and guard."""
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
    """Environment entries that only this attempt of this runner has; empty if incomplete."""
    names = ("TOWPATH_TASK_ID", "TOWPATH_ATTEMPT", "TOWPATH_RUNNER_ID")
    return {f"{name}={env[name]}".encode() for name in names} if set(names) <= set(env) else set()


def marks_of(key: Key, runner_id: RunnerId) -> Marks:
    """The marks of this runner's attempt: a second runner on this host may have the same attempt."""
    values = {"TASK_ID": key.task_id, "ATTEMPT": str(key.attempt), "RUNNER_ID": runner_id}
    return Marks(environment_marks({f"TOWPATH_{name}": value for name, value in values.items()}))


async def nothing_left(shims: Path, key: Key, runner_id: RunnerId) -> None:
    """Wait until an earlier run's shim has ended, then kill what it left.

    A shim that does not end, such as one stopped together with its guard, is killed.
    """
    lock = shims / f"{key.file_stem}.lock"
    marks = marks_of(key, runner_id)
    handle = lock_file.open_own(lock)
    if handle is not None:
        try:
            facts = lock_file.read_facts(handle)
            if facts is not None:
                marks.processes = keepers(facts)
                if cgroup.is_of(facts.cgroup, f"towpath-{runner_id}", key.file_stem):
                    marks.cgroup = facts.cgroup
            rounds = 0
            while not _taken(handle):
                rounds += 1
                if rounds * SWEEP_SECONDS > PATIENCE_SECONDS:
                    with contextlib.suppress(OSError):  # no descriptors are left: the next round retries
                        await asyncio.to_thread(_kill, marks)
                await asyncio.sleep(SWEEP_SECONDS)
        finally:
            os.close(handle)
    await end_all(marks)
    discard(lock)  # a file that cannot be removed is no shim's lock


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def end_all(marks: Marks, adoption: Adoption | None = None) -> None:
    """Send SIGKILL to all processes with one of the marks, until none is left."""
    while True:
        try:
            left = await asyncio.to_thread(_kill, marks)
            strangers = adoption.strangers() if adoption is not None else []
            _send_all(strangers or [])
            if not left and strangers == []:
                break
        except OSError as error:  # no descriptors are left: the state is unknown, so retry
            log.warning("cannot look for what is left of a job", why=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)
        await asyncio.sleep(SWEEP_SECONDS)
    if marks.cgroup is not None:
        await asyncio.to_thread(cgroup.remove, marks.cgroup)


def _kill(marks: Marks) -> bool:
    """Kill the marked processes; returns whether any were found."""
    if marks.cgroup is not None:
        cgroup.kill(marks.cgroup)
    living = marks.living()
    refusing = _send_all(living)
    if refusing and not marks.refused:
        marks.refused = True
        said = refusal(refusing, "runner-gone")
        log.warning("a process of a job cannot be ended", why=warning(said["message"], said["why"]))
    return bool(living) or (marks.cgroup is not None and cgroup.occupied(marks.cgroup))


def _send_all(processes: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Kill them; returns those that could not be signaled."""
    return [one for one in processes if not send(*one, signal.SIGKILL)]


def state_of(pid: int, started: str) -> str | None:
    """The letter of the process's state; None if it is gone or cannot be read."""
    try:
        seen = look_at(pid)
    except OSError:  # no descriptors are left
        return None
    return seen.state if seen is not None and seen.started == started else None


def _environment(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:  # gone, a zombie, or not readable for us
        return set()
