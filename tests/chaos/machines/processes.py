"""Processes as an operator runs them: each started again when it ends, as a service manager does.

What ends by itself, and with which code, goes into the history: that, too, is something to explain.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.chaos.history import History
from tests.chaos.machines.network import Host

AGAIN_SECONDS = 0.5
STOP_SECONDS = 20.0
LOOK_SECONDS = 0.05


class Process:
    """One program on one host. `kind` is what the nemesis chooses by."""

    def __init__(
        self,
        kind: str,
        name: str,
        command: Sequence[str],
        env: dict[str, str],
        host: Host,
        directory: Path,
        history: History,
    ) -> None:
        self.kind, self.name = kind, name
        self.command = [*host.prefix, *command]
        self._env, self._directory, self._history = env, directory, history
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = asyncio.Event()
        self._expected = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Run it, and go on running it. Called again it does nothing."""
        self._wanted.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def kill(self) -> None:
        """SIGKILL, and stay away until `start`."""
        await self._end(signal.SIGKILL)

    def expect_end(self) -> None:
        """Somebody else ends it now; stay away until `start`."""
        self._wanted.clear()
        self._expected = True

    async def terminate(self) -> None:
        """SIGTERM, and stay away until `start`. What does not end is killed, which is said."""
        await self._end(signal.SIGTERM)

    def send(self, number: int) -> None:
        """A signal, if it runs."""
        if self.pid is not None:
            os.kill(self.pid, number)

    async def close(self) -> None:
        """For good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    async def _end(self, number: int) -> None:
        self.expect_end()
        self.send(signal.SIGCONT)
        self.send(number)
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        while self.pid is not None:
            if asyncio.get_running_loop().time() > deadline:
                self._history.note("stuck", process=self.name, signal=number)
                self.send(signal.SIGKILL)
                deadline += STOP_SECONDS
            await asyncio.sleep(LOOK_SECONDS)

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            self._expected = False
            with (self._directory / f"{self.name}.log").open("ab") as words:
                self._process = subprocess.Popen(
                    self.command,
                    env=self._env,
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    start_new_session=True,
                )
            while self._process.poll() is None:
                await asyncio.sleep(LOOK_SECONDS)
            if not self._expected:
                self._history.note("ended", process=self.name, code=self._process.returncode)
                await asyncio.sleep(AGAIN_SECONDS)


class Child:
    """A process that another one started and starts again by itself, such as a part of `towpath up`."""

    def __init__(self, kind: str, name: str, find: Callable[[], int | None]) -> None:
        self.kind, self.name = kind, name
        self._find = find

    @property
    def pid(self) -> int | None:
        return self._find()

    def start(self) -> None:
        """Its parent does."""

    def expect_end(self) -> None:
        """Its parent has no need to know."""

    async def kill(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)

    async def terminate(self) -> None:
        self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


Part = Process | Child


def children_of(parent: int) -> list[int]:
    """Ids of its child processes, oldest first; none of one that is gone."""
    found = []
    with contextlib.suppress(OSError):  # it ends while its threads are listed
        for task in Path(f"/proc/{parent}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(pid) for pid in (task / "children").read_text().split()]
    return sorted(found)


def command_of(pid: int) -> list[str]:
    """Its command line; empty where it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    return []


def running_with(words: Iterable[str]) -> list[str]:
    """Command lines of all processes that have one of `words` in an argument."""
    lines = [command_of(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [" ".join(line) for line in lines if any(word in one for word in words for one in line)]


def shims_of(runner: int) -> list[int]:
    """The shims below a runner, one per attempt that runs, and the guard above each of them."""
    guards = [pid for pid in children_of(runner) if _is_shim(pid)]
    return guards + [pid for guard in guards for pid in children_of(guard) if _is_shim(pid)]


def launchers_of(runner: int) -> list[int]:
    """The process from which a runner's shims are forked; it has their command line."""
    return [pid for pid in children_of(runner) if _name_of(pid) == "towpath-launch"]


def _is_shim(pid: int) -> bool:
    return _name_of(pid) in ("towpath-guard", "towpath-shim")


def _name_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def families_of(pids: Iterable[int]) -> set[int]:
    """Processes with all their descendants."""
    found, new = set(), set(pids)
    while new:
        found |= new
        new = {child for pid in new for child in children_of(pid)} - found
    return found


def state_of(pid: int) -> str:
    """A line about what a process does, as its kernel sees it."""
    seen = [f"{pid} {_name_of(pid)}"]
    for name in ("stat", "wchan", "syscall"):
        with contextlib.suppress(OSError):
            seen.append(Path(f"/proc/{pid}/{name}").read_text().strip())
    return " | ".join(seen) + "\n"


def runs(pid: int) -> bool:
    """Whether a process is there and is more than what its parent has not yet taken note of."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False
