"""Clients that run a job under `towpath lock`: killed, stopped and continued, on hosts that are cut off.

Each command has a number, which its task carries as the label `lock`. The history says with which code it
ended; the job's marks say when it was alive. One process at a time of a command's family is harmed (the
command, its keeper, guard, shim, the job and what that leaves behind), as Towpath promises nothing where all
of them are stopped at once.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.clients.operators import ENDED, Operators
from tests.chaos.clients.scenarios import JOB, PATHS
from tests.chaos.history import History
from tests.chaos.machines.network import Host
from tests.chaos.machines.processes import families_of, state_of

HARMED_SHARE = 0.6
LONGEST_SECONDS = 90.0
"""After the last fault: more than the longest wait, job, stop and lease together."""
LOOK_SECONDS = 1.0
ABORT_SECONDS = 5.0
STUCK_CHARS = 20_000


@dataclass(frozen=True)
class Place:
    """A host on which commands run, and their environment there."""

    host: Host
    env: dict[str, str]


class LockCommands:
    """`run` goes on until `stop` is set and every command has ended."""

    def __init__(
        self,
        program: str,
        operators: Operators,
        history: History,
        places: Sequence[Place],
        workspaces: dict[str, Path],
        lost_seconds: float,
        seed: int,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        """`lost_seconds`: lease and grace, after which nothing of a lost command is alive."""
        self._program, self._operators, self._history = program, operators, history
        self._places, self._workspaces = places, workspaces
        self._lost_seconds, self._longest_seconds = lost_seconds, longest_seconds
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self.stop = asyncio.Event()
        self.errors: list[str] = []

    async def run(self, at_once: int) -> None:
        """Run commands, `at_once` beside each other."""
        await asyncio.gather(*(self._again_and_again() for _ in range(at_once)))

    async def _again_and_again(self) -> None:
        while not self.stop.is_set():
            await self._one(str(next(self._numbers)))

    async def _one(self, number: str) -> None:
        rng, place = self._random, self._random.choice(self._places)
        workspace, home = rng.choice(list(self._workspaces.items()))
        options = ["-w", workspace, "--label", f"lock={number}", *rng.choice([["--try"], ["--wait", "8"]])]
        for path in rng.choice(PATHS):
            options += ["--path", path]
        if rng.random() < 0.25:
            options.append("--shared")
        kind = rng.choices(["plain", "family", "stubborn", "fail"], [5, 3, 1, 1])[0]
        job = [sys.executable, "-I", "-S", str(JOB), str(home / "marks.jsonl"), kind]
        job.append(str(rng.choice([0.1, 0.5, 2.0, 4.0])))
        command = [*place.host.prefix, self._program, "lock", *options, "--", *job]
        words = self._history.path.with_name(f"lock-{number}.log")
        with words.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**place.env, "PYTHONFAULTHANDLER": "1"},
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        harming = asyncio.create_task(self._harm(process.pid))
        code, stuck = await self._ended(process, words), ""
        if code is None:
            stuck = words.read_text(errors="replace")[-STUCK_CHARS:]
        words.unlink()
        harming.cancel()
        [harmed] = await asyncio.gather(harming, return_exceptions=True)
        if isinstance(harmed, Exception):
            self.errors.append(f"a fault of lock command {number} broke off: {harmed!r}")
        self._history.note("lock-command", number=number, code=code, stuck=stuck)
        await self._free(number)

    async def _ended(self, process: asyncio.subprocess.Process, words: Path) -> int | None:
        """The exit code; None: it did not end in time once all was healed, and was killed.

        While faults are in force a wait may last: what ends it is a timer of the control plane.
        What its processes were doing then is added to `words`, which has what they have said.
        """
        ending, stop = asyncio.create_task(process.wait()), asyncio.create_task(self.stop.wait())
        await asyncio.wait({ending, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        done, _ = await asyncio.wait({ending}, timeout=self._longest_seconds)
        if done:
            return ending.result()
        family = families_of([process.pid])
        with words.open("a") as file:
            file.write("".join(map(state_of, sorted(family))))
        for pid in family:  # each of them adds where it was, by the interpreter's own fault handler
            _send(pid, signal.SIGABRT)
            _send(pid, signal.SIGCONT)
        await asyncio.wait({ending}, timeout=ABORT_SECONDS)
        for pid in family | families_of([process.pid]):
            _send(pid, signal.SIGKILL)
        await ending
        return None

    async def _harm(self, pid: int) -> None:
        rng = self._random
        if rng.random() > HARMED_SHARE:
            return
        await asyncio.sleep(rng.uniform(0.1, 3))
        family = sorted(families_of([pid]))
        victim = rng.choice(family)
        deed = rng.choices(["kill", "pause", "pause longer than the lease"], [4, 3, 1])[0]
        self._history.note("fault", fault=f"{deed}: lock command", name=str(family.index(victim)))
        if deed == "kill":
            _send(victim, signal.SIGKILL)
            return
        _send(victim, signal.SIGSTOP)
        try:
            past = self._lost_seconds + 1 if deed != "pause" else 0.0
            await asyncio.sleep(past + rng.uniform(0.3, 2))
        finally:
            for one in {victim, *families_of([pid])}:  # the command stops as its job is stopped
                _send(one, signal.SIGCONT)

    async def _free(self, number: str) -> None:
        """Release by hand what a lost command holds in a workspace of the policy `hold`, once it is dead."""
        found = await self._operators.of_lock_command(number)
        if found is None or found["status"] in ENDED:
            return
        await asyncio.sleep(self._lost_seconds + LOOK_SECONDS)
        while (await self._operators.look(found["id"]))["status"] not in ENDED:
            await self._operators.release("locker", found["id"])
            await asyncio.sleep(LOOK_SECONDS)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
