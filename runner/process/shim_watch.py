"""Checks once a second that a shim and its guard still work.

The guard watches the shim, so this watches the guard, which sends a `tick` every second. A stopped guard is
continued. If it stays stopped, is silent, or does not end in time, it is given up and the runner ends the job
itself. The watch counts its own rounds, not seconds: a stopped runner misses messages too.
"""

from __future__ import annotations

import contextlib
import math
import signal

from runner.clock import boottime
from runner.process.orphans import state_of
from runner.process.tree.process_tree import STOPPED, refuses, send

ROUND_SECONDS = 1.0
STOPS = 3
SILENT_ROUNDS = 2
DEAF_ROUNDS = 15
GONE_ROUNDS = 3
LATE_SECONDS = 5.0
"""After the end of grace, timeout and lease: more than a guard needs to act for its shim."""


class ShimWatch:
    """Receives the messages of guard and shim and the orders to them; call `verdict` once per round."""

    def __init__(
        self,
        timeout: float | None,
        lease: float | None,
        grace: float,
        guard: tuple[int, str] | None = None,
    ) -> None:
        """`guard`: its pid and start; None if it is gone already."""
        self._timeout, self._grace = timeout, grace
        self._stop_by = self._timeout_by = math.inf
        self._lease_by = math.inf if lease is None else lease + LATE_SECONDS
        self._rounds = 0  # of silence
        self._stops = self._gone = 0
        self.guard = guard
        self.refusing: list[tuple[int, str]] = []
        """Processes of the job that could not be signaled."""
        self.over = False
        """`ended` was received: no process of the job is left."""

    def hear(self, event: str) -> None:
        """Record the name of a received message."""
        self._rounds = 0
        if event == "started" and self._timeout is not None:
            self._timeout_by = boottime() + self._timeout + self._grace + LATE_SECONDS
        if event == "ended":
            self.over = True

    def told_to_stop(self, grace: float) -> None:
        self._stop_by = min(self._stop_by, boottime() + grace + LATE_SECONDS)

    def renewed(self, deadline: float) -> None:
        self._lease_by = deadline + LATE_SECONDS

    def timeout_moved(self, deadline: float) -> None:
        self._timeout_by = deadline + self._grace + LATE_SECONDS

    def verdict(self, guard_ended: bool) -> str | None:
        """Why guard and shim are given up; None while they work."""
        self._rounds += 1
        if boottime() > min(self._stop_by, self._timeout_by, self._lease_by) and not self._is_refused():
            return "its shim did not end it in time"
        if guard_ended:
            self._gone += 1
            return "the guard of its shim was killed" if self._gone > GONE_ROUNDS else None
        state = self._state()
        if state is not None and state in STOPPED:
            self._stops += 1
            if self._stops > STOPS:
                return "the guard of its shim was stopped again and again"
        if self._rounds > SILENT_ROUNDS and self.guard is not None:
            self._let_go_on(self.guard)
        if self._rounds > DEAF_ROUNDS:
            return "the guard of its shim did not answer"
        return None

    def _is_refused(self) -> bool:
        """Whether the shim still waits for a process that this one may not signal either."""
        try:
            return any(refuses(*one) for one in self.refusing)
        except OSError:  # no descriptors are left: the next round retries
            return True

    def _let_go_on(self, guard: tuple[int, str]) -> None:
        with contextlib.suppress(OSError):  # no descriptors are left: the next round retries
            send(*guard, signal.SIGCONT)

    def _state(self) -> str | None:
        if self.guard is None:
            return None
        state = state_of(*self.guard)
        if state is not None and state in STOPPED:
            self._let_go_on(self.guard)
        return state
