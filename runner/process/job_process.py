"""The runner's side of a shim: starts it, renews the lease, stops the job, learns how it ended.

The guard is forked by the launcher (`launcher/forking.py`), or without it runs in an interpreter of its own.
The job goes through a channel, not its arguments, which every user of the host can read. The channels close
with the runner, so guard and shim notice its death. The runner does not rely on them: a watch detects when
they stop responding, and the runner then kills all processes of the job.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import Process
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from domain.lifecycle.asyncio_tasks import end_tasks
from runner.clock import utcnow
from runner.isolation.job_user import JobUser
from runner.process.launcher.channels import Channels, open_channels
from runner.process.launcher.forked_child import Child
from runner.process.launcher.forking import INTERPRETER, PACKAGES, Launcher, NotLaunched
from runner.process.orphans import Adoption, Marks, end_all, environment_marks
from runner.process.shim.protocol import (
    Guarded,
    InvalidMessage,
    Over,
    Said,
    SignalRefused,
    Started,
    Why,
    keepers,
    parse_message,
    this_boot,
)
from runner.process.shim_watch import ROUND_SECONDS, ShimWatch
from runner.process.tree.process_tree import DEAD, look_at
from runner.process.tree.refusals import warning

# Only the standard library and this package, which comes last and so can shadow nothing.
SHIM = "import sys; sys.path.append(sys.argv[1]); from runner.process.shim.shim import main; main()"
LAST_WORDS_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job to run. Times in seconds; `lease` is an absolute CLOCK_BOOTTIME, None for no lease."""

    command: list[str]
    cwd: Path
    env: dict[str, str]
    output: Path
    output_bytes: int
    """How much of the start of the output is kept; of its end, `tail_bytes` are."""
    tail_bytes: int
    lock: Path
    secrets: tuple[str, ...] = ()
    """Values to be masked in the output."""
    within: list[str] | None = None
    """Real paths; the directory must lie in one of them when it is opened. None: anywhere."""
    user: JobUser | None = None
    """None: the runner's own user."""
    own_signals: bool = False
    """The job may signal and trace only processes that it started."""
    cgroup: str | None = None
    """A cgroup to make for the job, if permitted."""
    timeout: float | None
    lease: float | None
    grace: float


@dataclass(frozen=True, kw_only=True)
class JobEnd:
    """How a job ended, with no descendant left. `message` is set for "error" and "shim-lost".

    `refused`: which process could not be signaled, so that it went on until it ended by itself.
    """

    why: Why
    finished_at: datetime
    exit_code: int | None = None
    signal: int | None = None
    message: str | None = None
    refused: str | None = None


class JobProcess:
    """One job under its shim. Await `started`, then `ended`, then `close`."""

    def __init__(self, process: Child, channels: Channels, job: Job, adoption: Adoption) -> None:
        self._process = process
        self._channels = channels
        self._adoption = adoption
        self._cgroup = job.cgroup
        seen = look_at(process.pid)
        guard = (process.pid, seen.started) if seen is not None else None
        self._marks = Marks(environment_marks(job.env), [guard] if guard is not None else [], job.cgroup)
        self._watch = ShimWatch(job.timeout, job.lease, job.grace, guard)
        self._asked: Why | None = None
        self._given_up: str | None = None
        self._guarded = False
        self._refused: str | None = None
        self._first: Started | Over | None = None
        self._watching = asyncio.create_task(self._watch_over())
        self._watching.add_done_callback(self._end_hearing)

    @classmethod
    async def spawn(
        cls, job: Job, adoption: Adoption | None = None, launcher: Launcher | None = None
    ) -> JobProcess:
        """Start a shim with `job`. Main thread only: parent-death signals depend on the thread.

        Raises OSError if no process can be started.
        """
        adoption = adoption or Adoption()
        adoption.starting += 1
        try:
            process, channels = await _start_guard(launcher)
            adoption.own.add(process.pid)
        finally:
            adoption.starting -= 1
        self = cls(process, channels, job, adoption)
        order = {name: str(v) if isinstance(v, Path) else v for name, v in asdict(job).items()}
        self._send({**order, "runner_pid": os.getpid()})
        return self

    @property
    def pid(self) -> int:
        """The pid of the guard, which is the shim's parent."""
        return self._process.pid

    def renew(self, deadline: float) -> None:
        self._watch.renewed(deadline)
        self._send({"lease": deadline})

    def move_timeout(self, deadline: float) -> None:
        """Let the timeout of a started job with a timeout come at `deadline` (CLOCK_BOOTTIME)."""
        self._watch.timeout_moved(deadline)
        self._send({"timeout_at": deadline})

    def stop(self, why: Why, grace: float) -> None:
        """Send SIGTERM to all, SIGKILL after `grace` seconds; `ended` returns the first `why`."""
        self._asked = self._asked or why
        self._watch.told_to_stop(grace)
        self._send({"stop": why, "grace": grace})

    async def started(self) -> bool:
        """True once the job runs, False if it never did (then `ended` explains it)."""
        self._first = await self._read()
        return self._first is not None and self._first.event == "started"

    async def ended(self) -> JobEnd:
        """Wait for the end, after `started`."""
        said = self._first
        if isinstance(said, Started):
            said = await self._read()
            if isinstance(said, Started):
                self._give_up("its shim said twice that it had started")
        await self.close()
        if not isinstance(said, Over):
            why = self._asked or "shim-lost"
            return JobEnd(why=why, message=self._cause(), finished_at=utcnow(), refused=self._refused)
        fields = {**said.model_dump(exclude={"event"}), "refused": self._refused}
        if said.why == "shim-lost" and self._asked is not None:
            fields["why"] = self._asked  # the first request is the one reported
        return JobEnd(**fields)

    async def close(self) -> None:
        """Kill what is left and wait for it. May be called again, and instead of `ended`."""
        self._channels.end_orders()  # now the rest ends, by itself or through the watch
        if not self._watch.over:
            self._watch.told_to_stop(0)
        draining = asyncio.create_task(self._channels.drain())
        waiting = asyncio.ensure_future(self._process.wait())
        await asyncio.wait({waiting, self._watching}, return_when=asyncio.FIRST_COMPLETED)
        await end_tasks([self._watching])
        if self._process.returncode != 0 or self._given_up is not None:
            await end_all(self._marks, self._adoption)
        await waiting
        await end_tasks([draining])
        self._channels.close()
        self._adoption.own.discard(self._process.pid)

    async def _watch_over(self) -> None:
        """Watch until the guard is gone; if it is given up, kill all from here, which ends `_read`."""
        while self._given_up is None:
            await asyncio.sleep(ROUND_SECONDS)
            verdict = self._watch.verdict(self._process.returncode is not None)
            self._given_up = self._given_up or verdict
        await end_all(self._marks, self._adoption)

    def _end_hearing(self, watching: asyncio.Task[None]) -> None:
        """Given up and killed: read what has been said, which may be in the pipe still, and no more."""
        if not watching.cancelled():
            asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, self._channels.end_hearing)

    def _cause(self) -> str:
        code = self._process.returncode
        if self._given_up is None and code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"the guard of its shim was killed by {signal.Signals(-code).name}"
        if self._given_up is None and code is not None and code > 0:
            return f"the guard of its shim failed with code {code}"
        return self._given_up or "its shim was killed"

    async def _read(self) -> Started | Over | None:
        """The next message about the job; None if no more can arrive or be trusted."""
        try:
            while (line := await self._line()).endswith(b"\n"):
                said = parse_message(line)
                self._take(said)
                if isinstance(said, Started | Over):
                    return said
        except InvalidMessage as rubbish:
            self._give_up(f"its shim {rubbish}")
        return None

    def _take(self, said: Said) -> None:
        if isinstance(said, Guarded):
            if self._guarded:
                raise InvalidMessage("named its processes twice")
            self._guarded = True
            self._learn(said)
        if isinstance(said, SignalRefused):
            self._watch.refusing = said.processes
            if self._refused is None:
                log.warning("a process of a job cannot be ended", why=warning(said.message, said.why))
            self._refused = said.message
        self._watch.hear(said.event)

    def _learn(self, said: Guarded) -> None:
        """Learn the shim's pid, the only new fact; guard, cgroup and boot are known already."""
        guard = self._process.pid
        if said.boot != this_boot() or said.cgroup not in (None, self._cgroup):
            raise InvalidMessage("named a boot or a cgroup that is not its own")
        if not said.processes or said.processes[0][0] != guard:
            raise InvalidMessage("named a guard that is not its own")
        for pid, started in said.processes[1:]:
            seen = look_at(pid)
            if seen is None or seen.state in DEAD:
                continue
            if (seen.started, seen.session) != (started, guard):
                raise InvalidMessage("named a process that is not its own")
        proven = keepers(said, guard)
        self._marks.processes += [one for one in proven if one not in self._marks.processes]

    def _give_up(self, message: str) -> None:
        self._given_up = self._given_up or message

    async def _line(self) -> bytes:
        try:
            return await self._channels.line()
        except ValueError:  # longer than the stream's limit
            raise InvalidMessage("said a line without an end") from None
        except OSError:  # a broken pipe ends like a closed one
            return b""

    def _send(self, order: dict[str, Any]) -> None:
        self._channels.send(json.dumps(order).encode() + b"\n")


async def _start_guard(launcher: Launcher | None) -> tuple[Child, Channels]:
    if launcher is not None:
        try:
            return await launcher.launch()
        except NotLaunched as error:
            log.warning("a job is started without the launcher", why=str(error))
    return await open_channels(_start_interpreter)


async def _start_interpreter(orders: int, saying: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *(*INTERPRETER, SHIM, PACKAGES),
        stdin=orders,
        stdout=saying,
        cwd="/",
        env={},
        start_new_session=True,
    )
