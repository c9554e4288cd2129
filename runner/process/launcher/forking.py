"""The runner's side of the launcher (`fork_server`): keeps it running, and lets it fork guards.

A launch has a clear answer, whatever becomes of the launcher: a guard says its pid first, on a channel that
only it and the launcher hold, and it gets its job only after that. So the channel's end means that there is
no guard, and a guard whose runner has given up finds the end of its orders and exits. Jobs are children of
the runner and do not depend on the launcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import structlog

from domain.backoff import Backoff
from domain.lifecycle.asyncio_tasks import wait_at_most
from domain.lifecycle.service import Background
from runner.clock import boottime
from runner.process.launcher.channels import Channels, open_channels
from runner.process.launcher.fork_server import available
from runner.process.launcher.forked_child import ForkedChild
from runner.process.orphans import Adoption

PACKAGES = Path(__file__).parents[3]
INTERPRETER = (sys.executable, "-I", "-S", "-c")
# Forks keep this command line, by which guard and shim are recognized (`shim.protocol.COMMAND`).
PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from runner.process.shim.shim import main; "
    "from runner.process.launcher.fork_server import serve; serve(main)"
)
MOST_LAUNCHES = 64
"""At the same time; the system limits messages and descriptors that wait in a socket."""
ANSWER_SECONDS = 5.0
STABLE_SECONDS = 10.0
PAUSES = Backoff(0.1, 30.0)

log = structlog.get_logger(__name__)


class NotLaunched(Exception):
    """No guard was forked, and none will be; the text says why."""


class Launcher:
    """Starts the launcher, and starts it again whenever it ends."""

    def __init__(self, adoption: Adoption, answer_seconds: float = ANSWER_SECONDS) -> None:
        """`answer_seconds`: how long a launch may take before the launcher is replaced."""
        self._adoption = adoption
        self._answer_seconds = answer_seconds
        self._keeping = Background(self._keep)
        self._process: Process | None = None
        self._door: socket.socket | None = None
        self._opened = asyncio.Event()
        self._failures = 0
        """How often in a row it has ended soon."""
        self._launches = asyncio.Semaphore(MOST_LAUNCHES)
        self._given_up: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if available():
            await self._keeping.start()

    async def stop(self) -> None:
        await self._keeping.stop()

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process is not None else None

    async def launch(self) -> tuple[ForkedChild, Channels]:
        """Fork a guard, which waits for its job on the channel. Raises NotLaunched."""
        async with self._launches:
            process, door = await self._ready()

            async def send(*ends: int) -> None:
                socket.send_fds(door, [b"\n"], ends)

            try:
                _, channels = await open_channels(send)
            except OSError as error:
                raise NotLaunched(f"it cannot be asked: {error.strerror}") from None
            try:
                return await _watched(await self._answer(process, channels), channels)
            except BaseException:
                self._given_up.add(reaping := asyncio.create_task(_reaped(channels)))
                reaping.add_done_callback(self._given_up.discard)
                raise

    async def _ready(self) -> tuple[Process, socket.socket]:
        # after a failure no job waits: it starts without the launcher
        if self._failures == 0 and self._keeping.task is not None:
            await wait_at_most(self._opened, self._answer_seconds)
        if self._process is None or self._door is None:
            raise NotLaunched("it does not run")
        return self._process, self._door

    async def _answer(self, process: Process, channels: Channels) -> int:
        """The pid of the guard. A launcher that does not fork without saying why is replaced."""
        try:
            line = await _line_in_time(channels, self._answer_seconds)
            if line is None:
                _kill(process)  # after which there is a line, or the end
                line = await _line_in_time(channels, self._answer_seconds)
            answer = int(line or b"")
        except (OSError, ValueError):
            _kill(process)
            raise NotLaunched("it did not answer") from None
        if answer <= 0:
            raise NotLaunched(f"it cannot fork: {os.strerror(-answer)}")
        return answer

    async def _keep(self) -> None:
        while True:
            began = boottime()
            try:
                why = f"exit code {await self._run()}"
            except (OSError, RuntimeError) as error:  # no process, or no thread to wait for it
                why = getattr(error, "strerror", None) or str(error)
            self._failures = 0 if boottime() - began > STABLE_SECONDS else self._failures + 1
            pause = PAUSES.after(self._failures) if self._failures else 0.0
            log.warning("the launcher ended and is started again", why=why, pause_seconds=pause)
            await asyncio.sleep(pause)

    async def _run(self) -> int:
        """Run it once; returns its exit code. Raises OSError if it cannot be started."""
        door, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with door, inner:
            door.setblocking(False)
            process = await self._spawn(inner)
            # held here, too, it would hide the end of the launcher
            inner.close()
            self._process, self._door = process, door
            self._opened.set()
            try:
                return await process.wait()
            finally:
                self._opened.clear()
                self._process = self._door = None
                _kill(process)
                await process.wait()
                self._adoption.own.discard(process.pid)

    async def _spawn(self, inner: socket.socket) -> Process:
        # until its pid is known, it must not be taken for an orphan and killed
        self._adoption.starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *(*INTERPRETER, PROGRAM, PACKAGES),
                stdin=inner.fileno(),
                stdout=DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,
            )
            self._adoption.own.add(process.pid)
        finally:
            self._adoption.starting -= 1
        return process


async def _line_in_time(channels: Channels, seconds: float) -> bytes | None:
    try:
        async with asyncio.timeout(seconds):
            return await channels.line()
    except TimeoutError:
        return None


async def _reaped(channels: Channels) -> None:
    """Let a guard exit whose launch was given up, and reap it: it is a child of this process alone."""
    channels.end_orders()
    with contextlib.suppress(OSError, ValueError):
        pid = int(await channels.line())
        if pid > 0:
            await ForkedChild(pid).wait()
    channels.close()


async def _watched(pid: int, channels: Channels) -> tuple[ForkedChild, Channels]:
    try:
        return ForkedChild(pid), channels
    except OSError as error:
        channels.close()  # it exits, as it has no job
        with contextlib.suppress(ChildProcessError):
            await asyncio.to_thread(os.waitpid, pid, 0)
        raise NotLaunched(f"its child cannot be watched: {error.strerror}") from None


def _kill(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
