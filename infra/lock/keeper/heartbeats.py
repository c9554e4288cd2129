"""Heartbeats of the keeper, in a thread: a slow control plane holds up neither signals nor the end."""

from __future__ import annotations

import _thread
import os
import select
from contextlib import suppress

from domain.validation import light_json as json
from infra.lock.connection import Connection, Problem, Unanswered
from infra.lock.control_plane import ControlPlane
from runner.clock import boottime

FIRST_LEASE_SECONDS = 15.0
RETRY_SECONDS = 1.0
LEAVE_SECONDS = 2.0
HURRY, LEAVE = b"h", b"l"
LATE = 3.0
"""Heartbeats for a lease."""


class Heartbeats:
    """The lease, renewed until `stop`; it counts from the sending of an acknowledged heartbeat."""

    def __init__(self, control: ControlPlane) -> None:
        self.wake, self._woken = os.pipe()
        self._quit, self._quitting = os.pipe()
        self._gone, self._going = os.pipe()
        self._control = control
        self.deadline = 0.0
        self.lease_seconds = FIRST_LEASE_SECONDS
        self.holds = False
        """Whether heartbeats list the attempt."""
        self.orders: int | None = None
        """The shim's control pipe, once it has its job."""
        self.unwanted = False
        """The control plane no longer wants the attempt to run."""
        self.refusal: Problem | None = None

    def start(self) -> None:
        """Begin; the first heartbeat is sent once there is an attempt to list, and `hurry` was called."""
        _thread.start_new_thread(self._run, ())

    def hurry(self) -> None:
        """Send the next heartbeat now: what it answers may have changed."""
        os.write(self._quitting, HURRY)

    def leave(self) -> None:
        """Say goodbye instead of the next heartbeat; `left` tells when that is done."""
        os.write(self._quitting, LEAVE)

    def left(self, seconds: float) -> bool:
        """Wait until the goodbye was answered, or could not be sent, for at most `seconds`."""
        return bool(select.select([self._gone], [], [], seconds)[0])

    @property
    def valid(self) -> bool:
        """Whether processes may run now."""
        return boottime() < self.deadline

    def tell(self, **order: object) -> None:
        """Send an order to the shim, if there is one."""
        if self.orders is not None:
            with suppress(OSError):  # it has ended
                os.write(self.orders, json.dumps(order).encode() + b"\n")

    def _run(self) -> None:
        connection = self._control.connection()
        while True:
            begun = boottime()
            known = self.holds or self.deadline > 0  # the first heartbeat lists the attempt
            pause = self._beat(connection, begun) if known else self.lease_seconds
            rest = max(begun + pause - boottime(), 0.01)
            if select.select([self._quit], [], [], rest)[0] and LEAVE in os.read(self._quit, 4096):
                break
        with suppress(Problem, Unanswered):
            if self.deadline > 0:  # else the control plane has never heard of this runner
                self._control.beat(connection, self.holds, leaving=True, seconds=LEAVE_SECONDS)
        os.write(self._going, b"g")

    def _beat(self, connection: Connection, begun: float) -> float:
        pause = self.lease_seconds / LATE
        try:
            self._renew(begun, self._control.beat(connection, self.holds, seconds=pause))
        except Problem as problem:
            self.refusal, pause = problem, RETRY_SECONDS
        except Unanswered:
            pause = RETRY_SECONDS
        with suppress(OSError):
            os.write(self._woken, b"w")
        return pause

    def _renew(self, sent_at: float, said: dict[str, object]) -> None:
        seconds = said.get("lease_seconds")
        if isinstance(seconds, int | float):
            self.lease_seconds = float(seconds)
        self.refusal = None
        wanted = said.get("wanted")
        if isinstance(wanted, list) and any(one.get("wanted") == "stop" for one in wanted):
            self.unwanted = True
        self.deadline = max(self.deadline, sent_at + self.lease_seconds)  # last: it lets the command start
        self.tell(lease=self.deadline)
