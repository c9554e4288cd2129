"""The runner's end of a shim: start one, renew its lease, tell it to stop, hear how the job ended.

The job goes to the shim over its control pipe, not in arguments, which every user of the host can
read. Both pipes close with the runner, which is how guard and shim learn that they are alone. The runner does
not trust them: a watch gives up what does not answer, and then all that bears the job's marks is killed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from runner.clock import utcnow
from runner.job_user import JobUser
from runner.orphans import Adoption, Marks, end_all, environment_marks
from runner.shim_watch import ROUND_SECONDS, ShimWatch
from runner.tasks import end_tasks

PACKAGES = Path(__file__).parents[1]
# Nothing but the standard library and this package, which comes last and so can hide nothing.
SHIM = "import sys; sys.path.append(sys.argv[1]); from runner.shim import main; main()"
LAST_WORDS_SECONDS = 2.0

Why = Literal[
    "exit", "timeout", "canceled", "lease", "runner-gone", "stopped", "forgotten", "error", "shim-lost"
]


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
    within: list[str] | None = None
    """Real paths; the directory must lie in one of them when it is opened for the start. None: anywhere."""
    user: JobUser | None = None
    """None: the runner's own."""
    own_signals: bool = False
    """It may signal and trace only what it has started."""
    cgroup: str | None = None
    """Made for the job, where that is allowed."""
    timeout: float | None
    lease: float | None
    grace: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a job ended; no descendant of it is left. `message` belongs to "error" and "shim-lost"."""

    why: Why
    finished_at: datetime
    exit_code: int | None = None
    signal: int | None = None
    message: str | None = None


class JobProcess:
    """One job under its shim. Await `started`, then `ended`, then `close`."""

    def __init__(self, process: Process, job: Job, adoption: Adoption) -> None:
        self._process = process
        self._adoption = adoption
        self._marks = Marks(environment_marks(job.env))
        self._watch = ShimWatch(job.timeout, job.lease, job.grace)
        self._asked: Why | None = None
        self._given_up: str | None = None
        self._first: dict[str, Any] | None = None
        self._watching = asyncio.create_task(self._watch_over())

    @classmethod
    async def spawn(cls, job: Job, adoption: Adoption | None = None) -> JobProcess:
        """Start a shim with `job`. Call it on the main thread: parent-death signals follow the thread."""
        adoption = adoption or Adoption()
        adoption.starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", SHIM, PACKAGES),
                stdin=PIPE,
                stdout=PIPE,
                cwd="/",
                env={},
                start_new_session=True,
            )
            adoption.own.add(process.pid)
        finally:
            adoption.starting -= 1
        self = cls(process, job, adoption)
        order = {name: str(v) if isinstance(v, Path) else v for name, v in asdict(job).items()}
        self._send({**order, "runner_pid": os.getpid()})
        return self

    @property
    def pid(self) -> int:
        """The guard's, which is the shim's parent."""
        return self._process.pid

    def renew(self, deadline: float) -> None:
        self._watch.renewed(deadline)
        self._send({"lease": deadline})

    def stop(self, why: Why, grace: float) -> None:
        """SIGTERM to everything, after `grace` seconds SIGKILL; `ended` says the first `why`."""
        self._asked = self._asked or why
        self._watch.told_to_stop(grace)
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
        await self.close()
        if said is None:
            said = {"why": self._asked or "shim-lost", "message": self._cause(), "finished_at": utcnow()}
            return Ended(**said)
        del said["event"]
        if said["why"] == "shim-lost" and self._asked is not None:
            said["why"] = self._asked  # what was asked for first is what is reported
        return Ended(**{**said, "finished_at": datetime.fromisoformat(said["finished_at"])})

    async def close(self) -> None:
        """End what is left, and wait for that. May be called again, and instead of `ended`."""
        if self._process.stdin is not None:
            self._process.stdin.close()  # whatever is left ends now, by itself or by the watch
        if not self._watch.over:
            self._watch.told_to_stop(0)
        waiting = asyncio.ensure_future(self._process.wait())
        await asyncio.wait({waiting, self._watching}, return_when=asyncio.FIRST_COMPLETED)
        await end_tasks([self._watching])
        if self._process.returncode != 0:
            await end_all(self._marks, self._adoption)
        await waiting
        self._adoption.own.discard(self._process.pid)

    async def _watch_over(self) -> None:
        """Until the guard is gone; what is given up is killed from here, which `_read` sees as the end."""
        while self._given_up is None:
            await asyncio.sleep(ROUND_SECONDS)
            self._given_up = self._watch.verdict(self._process.returncode is not None)
        await end_all(self._marks, self._adoption)

    def _cause(self) -> str:
        code = self._process.returncode
        if self._given_up is None and code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"the guard of its shim was killed by {signal.Signals(-code).name}"
        return self._given_up or "its shim was killed"

    async def _read(self) -> dict[str, Any] | None:
        """The next thing that was said about the job; None where nothing more can come."""
        while (line := await self._line()).endswith(b"\n"):
            said: dict[str, Any] = json.loads(line)
            self._watch.hear(said)
            if said["event"] == "guarded":
                self._marks.learn(said)
            if said["event"] in {"started", "ended"}:
                return said
        return None

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        reading = asyncio.ensure_future(self._process.stdout.readline())
        await asyncio.wait({reading, self._watching}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():  # given up and killed; what was said before is still in the pipe
            await asyncio.wait({reading}, timeout=LAST_WORDS_SECONDS)
        if not reading.done():
            await end_tasks([reading])
            return b""
        return reading.result()

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
