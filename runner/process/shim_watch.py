"""Watches, once a second, that a shim and its guard still work.

The guard keeps the shim going, so here the question is the guard: it says `tick` once a second. A stopped one
is let go on; what goes on being stopped, is silent, or does not end in time what was to end, is given up, and
then the runner ends the job itself. Own rounds are counted, not seconds: a runner that was stopped has heard
nothing either.
"""

from __future__ import annotations

import contextlib
import math
import signal

from runner.clock import boottime
from runner.process.orphans import state_of
from runner.process.process_tree import STOPPED, send

ROUND_SECONDS = 1.0
STOPS = 3
SILENT_ROUNDS = 2
DEAF_ROUNDS = 15
GONE_ROUNDS = 3
LATE_SECONDS = 5.0
"""After the end of grace, timeout and lease: more than a guard needs to act for its shim."""


class ShimWatch:
    """Hears what guard and shim say, and what they are told; `verdict` once per round."""

    def __init__(
        self,
        timeout: float | None,
        lease: float | None,
        grace: float,
        guard: tuple[int, str] | None = None,
    ) -> None:
        """`guard`: its pid and start; None where it is gone already."""
        self._timeout, self._grace = timeout, grace
        self._stop_by = self._timeout_by = math.inf
        self._lease_by = math.inf if lease is None else lease + LATE_SECONDS
        self._rounds = 0  # of silence
        self._stops = self._gone = 0
        self.guard = guard
        self.over = False
        """`ended` was said: nothing of the job is left."""

    def hear(self, event: str) -> None:
        """The name of what they said."""
        self._rounds = 0
        if event == "started" and self._timeout is not None:
            self._timeout_by = boottime() + self._timeout + self._grace + LATE_SECONDS
        if event == "ended":
            self.over = True

    def told_to_stop(self, grace: float) -> None:
        self._stop_by = min(self._stop_by, boottime() + grace + LATE_SECONDS)

    def renewed(self, deadline: float) -> None:
        self._lease_by = deadline + LATE_SECONDS

    def verdict(self, guard_ended: bool) -> str | None:
        """Why they are given up; None while all is well."""
        self._rounds += 1
        if boottime() > min(self._stop_by, self._timeout_by, self._lease_by):
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

    def _let_go_on(self, guard: tuple[int, str]) -> None:
        with contextlib.suppress(OSError):  # no descriptors are left: the next round tries again
            send(*guard, signal.SIGCONT)

    def _state(self) -> str | None:
        if self.guard is None:
            return None
        state = state_of(*self.guard)
        if state is not None and state in STOPPED:
            self._let_go_on(self.guard)
        return state
