"""The runner's end of a shim: start one, renew its lease, tell it to stop, hear how the job ended.

The job goes to the shim over its control pipe, not in arguments, which every user of the host can
read. Both pipes close with the runner, which is how the shim learns that it is alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from runner.clock import utcnow

PACKAGES = Path(__file__).parents[1]
# Nothing but the standard library and this package, which comes last and so can hide nothing.
SHIM = "import sys; sys.path.append(sys.argv[1]); from runner.shim import main; main()"

Why = Literal["exit", "timeout", "canceled", "lease", "runner-gone", "stopped", "forgotten", "error"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run. Times in seconds, `lease` an absolute CLOCK_BOOTTIME or None for no lease."""

    command: list[str]
    cwd: Path
    env: dict[str, str]
    output: Path
    output_bytes: int
    """What of the output is kept from its beginning; from its end, `tail_bytes`."""
    tail_bytes: int
    lock: Path
    timeout: float | None
    lease: float | None
    grace: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a job ended; no descendant of it is left, but with `why` "error" and no shim to vouch for it."""

    why: Why
    finished_at: datetime
    exit_code: int | None = None
    signal: int | None = None
    message: str | None = None
    shim_died: bool = False


class JobProcess:
    """One job under its shim."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def spawn(cls, job: Job) -> JobProcess:
        """Start a shim with `job`. Call it on the main thread: parent-death signals follow the thread."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", SHIM, PACKAGES),
            stdin=PIPE,
            stdout=PIPE,
            cwd="/",
            env={},
            start_new_session=True,
        )
        self = cls(process)
        order = {name: str(v) if isinstance(v, Path) else v for name, v in vars(job).items()}
        self._send({**order, "runner_pid": os.getpid()})
        return self

    @property
    def pid(self) -> int:
        """The shim's."""
        return self._process.pid

    def renew(self, deadline: float) -> None:
        self._send({"lease": deadline})

    def stop(self, why: Why, grace: float) -> None:
        """SIGTERM to everything, after `grace` seconds SIGKILL; `ended` says the first `why`."""
        self._send({"stop": why, "grace": grace})

    async def started(self) -> bool:
        """True once the job runs, False if it never did (then `ended` says why)."""
        self._first = await self._read()
        return self._first is not None and self._first["event"] == "started"

    async def ended(self) -> Ended:
        """Wait for the end, after `started`."""
        said = self._first
        while said is not None and said["event"] != "ended":
            said = await self._read()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()
        if said is None:
            return Ended(why="error", finished_at=utcnow(), message="its shim was killed", shim_died=True)
        del said["event"]
        return Ended(**{**said, "finished_at": datetime.fromisoformat(said["finished_at"])})

    async def kill(self) -> None:
        """Make the shim end everything at once, and wait for that."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()

    async def _read(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        said: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        return said

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
