"""The guard: the shim's parent, which ends the job when its shim is stopped, traced or killed.

It is a child subreaper and adopts all orphans of a dead shim: every process below it belongs to the job, even
after changing session, environment or parent. It continues a stopped shim, and after several stops kills
everything. It expects the shim's ticks, which carry the lease, and notices the runner's end. Standard library
only.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import os
import select
import signal
import struct
import time

from domain.validation import light_json as json
from runner.clock import boottime, stamp
from runner.isolation import cgroup
from runner.isolation.process_traits import die_with_parent
from runner.process.tree import proc_listing, refusals
from runner.process.tree.process_tree import STOPPED, look_at, signal_below

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

ROUND_SECONDS = 0.25
SWEEP_SECONDS = 0.02
TICK = struct.Struct("d")
NEVER = float("inf")
NOTHING_LEFT = -1.0  # the shim's last tick
STOPS = 3
SILENT_ROUNDS = 4  # without a tick, until a shim that seems alive gets SIGCONT
STOPPED_ROUNDS = 16
DEAF_ROUNDS = 40
LATE_ROUNDS = 8  # between the end of the runner or the lease and that of the shim
LEASE_SLACK_SECONDS = 0.5
SAY_ROUNDS = 4
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Guard:
    """Runs until shim and job are gone; reports how the job ended if the shim did not."""

    def __init__(self, job: dict[str, Any], shim: int, ticks: int) -> None:
        self.runner: int = job["runner_pid"]
        self.cgroup: str | None = job["cgroup"]
        self.lease: float = NEVER if job["lease"] is None else job["lease"]
        self.shim = shim
        self.handle = os.pidfd_open(shim)  # signals through it can only reach the shim
        self.status: int | None = None  # how the shim ended
        self.lost: str | None = None  # why the shim is no longer trusted
        self.stops = 0
        self.rounds = self.silent = self.late = 0
        self.idle = self.troubled = False
        self.runner_gone = self.refused = False
        self.ticks = ticks
        self.wake_read, wake_write = os.pipe()
        for end in (self.wake_read, wake_write, ticks):
            os.set_blocking(end, False)
        self.poll = select.poll()
        self.ends = [self.wake_read, ticks]
        for end in self.ends:
            self.poll.register(end, select.POLLIN)
        self.poll.register(0, select.POLLRDHUP)  # only the shim reads the control pipe
        for number in (signal.SIGCHLD, *FORWARDED):
            _signal.signal(number, self._signaled)  # without enums, whose use copies 40 pages of memory
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        die_with_parent(signal.SIGTERM)
        proc_listing.hold()
        self.next_round = boottime() + ROUND_SECONDS

    def run(self) -> None:
        """Run until no child is left: as a subreaper it then has no descendants."""
        while self.reap():
            try:
                self.step()
            except (OSError, MemoryError) as error:  # without its guard the job would be unguarded
                self._own_trouble(error)
        if self.cgroup is not None:
            cgroup.remove(self.cgroup)
        if self.lost is not None:
            said = {"why": "shim-lost", "message": self.lost, "finished_at": stamp()}
            self._tell("ended", **said)

    def step(self) -> None:
        self._listen()
        self._judge()
        if self.lost is not None:
            if self.status is None:
                self._send(signal.SIGKILL)  # first: it may continue when its tracer dies
            self._kill()
        elif self.late:
            self._kill(self.shim)  # it reports how that went

    def _own_trouble(self, error: OSError | MemoryError) -> None:
        if not self.troubled:
            self.troubled = True
            with contextlib.suppress(OSError):
                os.write(2, f"the guard of a job goes on after an error: {error!a}\n".encode())
        time.sleep(SWEEP_SECONDS)

    def _signaled(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD and os.getppid() == self.runner and self.status is None:
            self._send(number)  # the shim ends the job cleanly and reports the signal

    def reap(self) -> bool:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.shim and os.WIFSTOPPED(status):
                self._let_go_on(os.WSTOPSIG(status))
            elif pid == self.shim:
                self.status = status
                if status != 0 and self.lost is None:
                    self.lost = _how_it_ended(status)

    def _let_go_on(self, number: int) -> None:
        self.stops += 1
        if self.stops > STOPS:
            self.lost = f"its shim was stopped again and again ({_name(number)})"
        else:
            self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    def _listen(self) -> None:
        hurried = self.lost is not None or self.late > 0
        wait = SWEEP_SECONDS if hurried else max(self.next_round - boottime(), 0.0)
        ready = self._ready(min(wait, ROUND_SECONDS))
        if self.wake_read in ready:
            os.read(self.wake_read, 4096)
        if self.ticks in ready:
            self._take_ticks()
        if 0 in ready:
            self.poll.unregister(0)
            self.runner_gone = True

    def _ready(self, seconds: float) -> set[int]:
        try:
            return {end for end, _ in self.poll.poll(-int(-seconds * 1000 // 1))}
        except OSError:  # over this process's limit of open files; other checks detect the runner's end
            return set(select.select(self.ends, [], [], seconds)[0])

    def _take_ticks(self) -> None:
        said = os.read(self.ticks, 512 * TICK.size)
        if not said:
            self.poll.unregister(self.ticks)
            self.ends.remove(self.ticks)
            return
        [last] = TICK.unpack(said[-TICK.size :])
        self.silent = 0
        if last == NOTHING_LEFT:
            self.idle = True
        else:
            self.lease = last

    def _judge(self) -> None:
        """Judge once per round. Rounds, not seconds, are counted: host or guard may have been suspended."""
        if boottime() < self.next_round:
            return
        self.next_round = boottime() + ROUND_SECONDS
        self.rounds += 1
        if self.rounds % SAY_ROUNDS == 0 and self._runner_listens():
            self._tell("tick")
        if self.idle or self.lost is not None or self.status is not None:
            return
        if self.runner_gone or os.getppid() != self.runner or boottime() > self.lease + LEASE_SLACK_SECONDS:
            self.late += 1
        self.silent += 1
        self._judge_silence()

    def _judge_silence(self) -> None:
        if self.silent < SILENT_ROUNDS:
            return
        self._send(signal.SIGCONT)  # its parent may not have been notified of the stop
        seen = None
        with contextlib.suppress(OSError):
            seen = look_at(self.shim)
        stopped = seen is not None and seen.state in STOPPED
        if self.late > LATE_ROUNDS:
            self.lost = "its shim did not end it"
        elif stopped and self.silent > STOPPED_ROUNDS:
            self.lost = "its shim was stopped"
        elif self.silent > DEAF_ROUNDS:
            self.lost = "its shim did not answer"

    def _kill(self, *spared: int) -> None:
        if self.cgroup is not None:
            cgroup.kill(self.cgroup)
        refusing = signal_below((signal.SIGKILL,), spared)
        if refusing and self.lost is not None and not self.refused:  # else its shim tells
            self.refused = True
            self._tell("refused", **refusals.refusal(refusing, "shim-lost"))

    def _runner_listens(self) -> bool:
        """Whether a write would not block: a full pipe would stop this process."""
        return bool(select.select([], [1], [], 0)[1])

    def _tell(self, event: str, **fields: Any) -> None:
        with contextlib.suppress(OSError):
            os.write(1, json.dumps({"event": event, **fields}).encode() + b"\n")


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"its shim was killed by {_name(os.WTERMSIG(status))}"
    return f"its shim failed with code {os.WEXITSTATUS(status)}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
