"""The shim: the process between runner and job. It kills every process of the job at its end.

Standard library only, started without site packages (30 ms, 10 MB). It is a child subreaper: every orphan of
the job becomes its child, so "no child left" means "no descendant left", even after a fork, setsid or an
ignored SIGTERM. It kills the job by itself when the runner is gone (end of file on its control pipe) and when
the lease expires on CLOCK_BOOTTIME, since a stopped runner cannot. Its parent, forked from the same program,
is its guard (`guard.py`), which expects ticks. Stdin: one JSON line with the job, then `{"lease":
deadline}`, `{"timeout_at": deadline}` and `{"stop": why, "grace": seconds}`. Stdout: `guarded` with the pids,
`started`, `refused` once a process may not be signaled, which is then waited for, `ended` once no process is
left; and a `tick` of the guard every second.

A job may belong to a terminal (`terminal` in its description; `towpath lock`): it then has its caller's
process group, standard streams and open files, and the shim also reports that it `stopped` or `continued`.
Its command comes on a line of its own, when its start is recorded; guard and shim are made while it is.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable

from domain.validation import light_json as json
from runner.clock import boottime, stamp, this_boot
from runner.isolation import cgroup
from runner.isolation.process_traits import adopt_orphans, die_with_parent, hide_memory, name_process
from runner.process.shim import job_start
from runner.process.shim.guard import FORWARDED, NEVER, NOTHING_LEFT, TICK, Guard
from runner.process.shim.output import Output
from runner.process.tree import proc_listing, refusals
from runner.process.tree.process_tree import look_at, signal_below

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

TICK_SECONDS = 0.5  # most that a timer may be late: poll() stops while the host sleeps, BOOTTIME does not
SWEEP_SECONDS = 0.02


class Shim:
    """Runs one job from its start until none of its processes is left."""

    def __init__(self, job: dict[str, Any], rest: bytes, guard: int, ticks: int) -> None:
        self.job = job
        self.guard = guard
        self.ticks = ticks
        self.signaled: int | None = None  # by another process: runner and guard use the pipe
        self.terminal: dict[str, Any] | None = job.get("terminal")
        self.lease: float | None = job["lease"]
        self.notice: float = job.get("notice", 0.0)  # how long before the end of the lease SIGTERM comes
        self.grace: float = job["grace"]
        self.timeout_at: float | None = None
        self.kill_at: float | None = None  # when SIGTERM turns into SIGKILL
        self.why: str | None = None
        self.message: str | None = None
        self.main: int | None = None
        self.status: int | None = None
        self.refused = False  # a process could not be signaled, and this was told
        self.control_open = True
        self.buffer = rest
        self.output: Output | None = None
        self.wake_read, self.wake_write = os.pipe()
        for end in (self.wake_read, self.wake_write, ticks):
            os.set_blocking(end, False)

    # -- what happens around the job

    def listen(self, seconds: float) -> None:
        """Wait up to `seconds` for the runner, a signal or a dead child, then update the state."""
        output = self.output if self.output is not None and self.output.open else None
        ends = [self.wake_read, *([0] if self.control_open else []), *([output.read_end] if output else [])]
        ready, _, _ = select.select(ends, [], [], max(seconds, 0))
        if self.wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake_read, 4096)
        if output is not None and output.read_end in ready:
            output.take()
        if 0 in ready:
            self._read_control()
        for line in self._lines():
            self._obey(json.loads(line))
        self._check()
        self._tick(NEVER if self.lease is None else self.lease)

    def _tick(self, lease: float) -> None:
        with contextlib.suppress(OSError):  # the guard does not read: it has enough ticks
            os.write(self.ticks, TICK.pack(lease))

    def _read_control(self) -> None:
        try:
            chunk = os.read(0, 65536)
        except OSError:  # reset: the runner died with unread data
            chunk = b""
        self.buffer += chunk
        if not chunk:
            self.control_open = False
            self.end("runner-gone", 0)

    def _lines(self) -> list[bytes]:
        *lines, self.buffer = self.buffer.split(b"\n")
        return [line for line in lines if line]

    def _obey(self, order: dict[str, Any]) -> None:
        if "command" in order:
            self.job, self.notice, self.grace = {**self.job, **order}, order["notice"], order["grace"]
        if "lease" in order:
            self.lease = order["lease"]
        if "timeout_at" in order and self.timeout_at is not None:
            self.timeout_at = order["timeout_at"]
        if "signal" in order and self.main is not None and self.status is None:
            with contextlib.suppress(OSError):  # a privileged command cannot be signaled by its caller
                os.kill(self.main, order["signal"])  # not reaped yet, so no other process has its pid
        if "stop" in order:
            self.end(order["stop"], order["grace"])

    def _check(self) -> None:
        at = boottime()
        if os.getppid() != self.guard:
            self._give_up("the guard of its shim was killed", 0)
        elif self.signaled is not None:
            self._give_up(f"its shim got {signal.Signals(self.signaled).name}", self.grace)
        if self.lease is not None and at >= self.lease - self.notice:
            self.end("lease", max(self.lease - at, 0))
        if self.timeout_at is not None and at >= self.timeout_at and self.why is None:
            self.end("timeout", self.grace)

    def _give_up(self, message: str, grace: float) -> None:
        if self.why is None:
            self.message = message
        if self.why != "shim-lost" or grace == 0:
            self.end("shim-lost", grace)

    def end(self, why: str, grace: float) -> None:
        """End the job. The first reason is reported; a later call can only shorten the grace."""
        if self.why is None:
            self.why = why
            self.kill_at = boottime() + grace
            if self.main is not None and grace > 0:
                self._signal_all(signal.SIGTERM)
        elif self.kill_at is not None:
            self.kill_at = min(self.kill_at, boottime() + grace)

    # -- the job

    def run(self) -> None:
        self.listen(0)  # known events first: no exec after a cancel, without a runner or a lease
        while self.why is None and "command" not in self.job:
            self.listen(TICK_SECONDS)
        if self.why is None:
            self._start()
        while self.reap():
            self.listen(self._patience())
            if self.kill_at is not None and boottime() >= self.kill_at:
                self._signal_all(signal.SIGKILL)
        self._tick(NOTHING_LEFT)
        if self.output is not None:
            self.output.finish()
        self.tell("ended", finished_at=stamp(), **self._result())

    def abandon(self) -> None:
        """After an error of the shim itself: kill everything, whatever else fails."""
        while self.reap():
            self._signal_all(signal.SIGKILL)
            time.sleep(SWEEP_SECONDS)

    def _start(self) -> None:
        job = self.job
        try:
            stdio = self._stdio()
        except OSError as error:
            self.message = f"cannot keep its output in {job['output']!r}: {error.strerror}"
            self.end("error", 0)
            return
        try:
            self.main = job_start.start(job, stdio, self.lease)
        except job_start.JobStartFailed as error:
            self.message = str(error)
            self._check()
            self.end("error", 0)
            return
        except TimeoutError:
            self._check()
            return
        finally:
            for handle in {*stdio, *job_start.inherited(self.terminal)}:
                os.close(handle)
        if job["timeout"] is not None:
            self.timeout_at = boottime() + job["timeout"]
        self.tell("started", pid=self.main, started_at=stamp())

    def _stdio(self) -> tuple[int, int, int]:
        """What the job's standard input, output and error are. Raises OSError."""
        if self.terminal is not None:
            first, second, third = self.terminal["stdio"]
            return first, second, third
        job = self.job
        self.output = Output(job["output"], job["output_bytes"], job["tail_bytes"], job["secrets"])
        return os.open(os.devnull, os.O_RDWR), self.output.write_end, self.output.write_end

    def reap(self) -> bool:
        """Collect dead children. False once none is left: as a subreaper it then has no descendants."""
        changes = os.WUNTRACED | os.WCONTINUED if self.terminal is not None else 0
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | changes)
            except ChildProcessError:
                if self.status is not None:
                    self.why = self.why or "exit"
                return False
            if pid == 0:
                if self.status is not None:
                    self.end("exit", self.grace)  # the job's remaining processes end with it
                return True
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                if pid == self.main:
                    self._tell_change(status)
            elif pid == self.main:
                self.status = status

    def _patience(self) -> float:
        if self.kill_at is None:
            timers = [at for at in (self.lease, self.timeout_at) if at is not None]
            return min([TICK_SECONDS, *(at - boottime() for at in timers)])
        return min(TICK_SECONDS, max(self.kill_at - boottime(), SWEEP_SECONDS))

    def _signal_all(self, number: int) -> None:
        if number == signal.SIGKILL and self.job["cgroup"] is not None:
            cgroup.kill(self.job["cgroup"])
        continued = (signal.SIGCONT,) if number != signal.SIGKILL else ()  # a stopped process ignores SIGTERM
        refusing = signal_below((number, *continued))
        if refusing and not self.refused:
            self.refused = True
            refusal = refusals.refusal(refusing, self.why or "error")
            self.tell("refused", **refusal)
            if self.output is not None:
                self.output.note(refusals.warning(refusal["message"], refusal["why"]))

    # -- what the runner hears

    def _result(self) -> dict[str, Any]:
        code = number = None
        if self.status is not None and os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
        elif self.status is not None:
            code = os.WEXITSTATUS(self.status)
        return {"why": self.why, "exit_code": code, "signal": number, "message": self.message}

    def _tell_change(self, status: int) -> None:
        if os.WIFSTOPPED(status):
            self.tell("stopped", signal=os.WSTOPSIG(status))
        else:
            self.tell("continued")

    def tell(self, event: str, **fields: Any) -> None:
        with contextlib.suppress(OSError):  # the runner may be gone
            os.write(1, json.dumps({"event": event, **fields}).encode() + b"\n")


def receive_job() -> tuple[dict[str, Any], bytes]:
    """The first line on stdin, and the bytes after it. Exits if the runner died before sending it."""
    raw = b""
    while b"\n" not in raw:
        chunk = os.read(0, 65536)
        if not chunk:
            sys.exit(1)
        raw += chunk
    line, _, rest = raw.partition(b"\n")
    return json.loads(line), rest


def main() -> None:
    job_start.close_others()  # the runner's event loop leaves copies of the pipes in its child
    hide_memory()
    adopt_orphans()
    job, rest = receive_job()
    # Locked until guard and shim are gone: a restarted runner waits for it before it reports a lost job.
    lock = os.open(job["lock"], os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(lock, 0o600)  # a umask may have removed even the owner's rights
    fcntl.flock(lock, fcntl.LOCK_EX)
    if job["cgroup"] is not None and not cgroup.make(job["cgroup"]):
        job["cgroup"] = None
    guard_and_shim(job, rest, lambda pid: write_down(lock, job, os.getpid(), pid))


def main_of_terminal(terminal: dict[str, Any]) -> None:
    """The same in a fork of `towpath lock`, whose job has no state that a later runner would look for.

    The first line is a job without its command.
    """
    hide_memory()
    adopt_orphans()
    job, rest = receive_job()
    guard_and_shim({**job, "terminal": terminal}, rest, lambda _: job_start.let_go(terminal))


def guard_and_shim(job: dict[str, Any], rest: bytes, begin: Callable[[int], None]) -> None:
    """Fork the shim and guard it; returns in both. `begin(pid of the shim)` runs in the guard first."""
    name_process("towpath-guard")
    guard_pid = os.getpid()
    ticks, say_tick = os.pipe()
    ready, say_ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ticks)
        os.close(say_ready)
        if os.read(ready, 1):  # no job that could stop the guard from being set up; empty: the guard is gone
            os.close(ready)
            run_shim(Shim(job, rest, guard_pid, say_tick))
        return
    os.close(ready)
    os.close(say_tick)
    begin(pid)
    guard = Guard(job, pid, ticks)
    os.write(say_ready, b"\n")
    os.close(say_ready)
    guard.run()


def write_down(lock: int, job: dict[str, Any], *pids: int) -> None:
    """Report the pids to the runner, on its pipe, and in the lock's file for a later runner."""
    starts = [[pid, seen.started] for pid in pids if (seen := look_at(pid)) is not None]
    facts = {"processes": starts, "cgroup": job["cgroup"], "boot": this_boot()}
    with contextlib.suppress(OSError):  # a full disk: the mark in the environment remains
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(facts).encode(), 0)
    with contextlib.suppress(OSError):
        os.write(1, json.dumps({"event": "guarded", **facts}).encode() + b"\n")


def run_shim(shim: Shim) -> None:
    """Run the shim below its guard until the job has ended."""
    name_process("towpath-shim")
    adopt_orphans()
    proc_listing.hold()
    # Handlers, not SIG_IGN: exec resets a handler, while the job would inherit an ignored signal.
    _signal.signal(signal.SIGCHLD, lambda *_: None)  # without enums, whose use copies 40 pages of memory
    for number in FORWARDED:
        _signal.signal(number, lambda got, _: setattr(shim, "signaled", got))
    signal.set_wakeup_fd(shim.wake_write, warn_on_full_buffer=False)
    die_with_parent(signal.SIGTERM)
    try:
        shim.run()  # its first check compares getppid(): the guard may have died before the line above
    except BaseException:
        shim.abandon()
        raise
