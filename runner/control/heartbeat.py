"""Sends a heartbeat every third of a lease; each acknowledgement renews the lease.

The lease counts from the *sending* of a heartbeat. The control plane counts from its storing, which is later,
so the lease always ends on this side first. A failed heartbeat is not repeated, since the next one replaces
it. It goes over NATS or, for a runner without NATS, to `POST /runner/heartbeat`, whose response tells which
of the listed attempts are still wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import structlog

from domain.identifiers import RunnerId
from domain.lifecycle.asyncio_tasks import wait_at_most
from domain.protocol import Heartbeat, Held
from runner.clock import boottime
from runner.config import RunnerConfig
from runner.control.lease import HeartbeatLease
from runner.errors import StateTrouble
from runner.store.disk_guard import Storage
from runner.store.state import RunnerState

LEAVE_SECONDS = 2.0
LOOK_SECONDS = 0.05

log = structlog.get_logger(__name__)


class NotAcknowledged(Exception):
    """A heartbeat was not stored, or its fate is unknown; the message gives the reason and the remedy."""


class BeatChannel(Protocol):
    """Transport of heartbeats."""

    async def ready(self) -> None:
        """Wait until the transport is connected."""

    async def send(self, beat: Heartbeat, seconds: float) -> None:
        """Return once the control plane has stored `beat`. Raises NotAcknowledged within `seconds`."""

    async def after(self, acknowledged: bool) -> None:
        """Learn which held attempts are still wanted. Raises StateTrouble; may be canceled."""


class Attempts(Protocol):
    """The attempts that depend on this lease."""

    def renew(self, deadline: float) -> None:
        """The lease lasts until `deadline` (CLOCK_BOOTTIME)."""

    def held(self) -> list[Held]:
        """The attempts that this runner has and has not reported as ended."""
        ...


class Heart:
    """Sends heartbeats until it is canceled."""

    def __init__(
        self,
        config: RunnerConfig,
        runner_id: RunnerId,
        state: RunnerState,
        storage: Storage,
        channel: BeatChannel,
        lease: HeartbeatLease,
        attempts: Attempts,
    ) -> None:
        self._config = config
        self._runner_id = runner_id
        self._state = state
        self._storage = storage
        self._channel = channel
        self._lease = lease
        self._attempts = attempts
        self._soon = asyncio.Event()

    def hurry(self) -> None:
        """Send a heartbeat now: the connection is back."""
        self._soon.set()

    async def run(self) -> None:
        """Run until canceled."""
        seconds = self._config.heartbeat_seconds
        while True:
            self._soon.clear()
            started = boottime()
            acknowledged = await self._beat()
            await self._within(seconds / 2, self._channel.after(acknowledged))
            self._storage.usable()  # so that disk errors are noticed and cleared while nothing is submitted
            pause = seconds if acknowledged else min(1.0, seconds)
            await wait_at_most(self._soon, max(0.05, started + pause - boottime()))

    async def leave(self) -> None:
        """Say goodbye, once attempts and reports have come to rest. What is still held is listed."""
        if not self._lease.ever_renewed:
            return
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                while self._attempts.held():
                    await self._channel.after(True)
                    await asyncio.sleep(LOOK_SECONDS)
        except (TimeoutError, StateTrouble):
            log.warning("leaving while attempts are held: their ends have not been answered yet")
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._channel.send(self._say(leaving=True), LEAVE_SECONDS)
        except (NotAcknowledged, StateTrouble, TimeoutError) as error:
            log.warning("goodbye not acknowledged: this runner will be shown as lost", error=str(error))

    async def _beat(self) -> bool:
        seconds = self._config.heartbeat_seconds
        try:
            async with asyncio.timeout(2 * seconds):
                await self._channel.ready()
                # read before the sending, so that the lease ends here before it ends there
                beat, sent_at = self._say(), boottime()
                await self._channel.send(beat, seconds)
        except (NotAcknowledged, TimeoutError) as error:
            log.warning("heartbeat not acknowledged", error=str(error) or "no connection")
            return False
        self._attempts.renew(self._lease.renew(sent_at))
        return True

    async def _within(self, seconds: float, step: Awaitable[None]) -> None:
        """Run `step` for at most `seconds`, so that it does not delay the next heartbeat; that repeats it."""
        try:
            async with asyncio.timeout(seconds):
                await step
        except TimeoutError:
            log.info("no time left to look at everything that is held")
        except StateTrouble as trouble:
            self._storage.note(trouble)

    def _outbox(self) -> int | None:
        try:
            return self._state.outbox_depth()
        except StateTrouble as trouble:  # a failing disk must not cost the lease
            self._storage.note(trouble)
            return None

    def _say(self, *, leaving: bool = False) -> Heartbeat:
        return Heartbeat(
            runner_id=self._runner_id,
            instance=self._state.instance,
            pools=list(self._config.pools),
            host=self._config.host,
            capacity=self._config.capacity,
            counter=self._state.next_counter(),
            held=self._attempts.held(),
            outbox=self._outbox(),
            leaving=leaving,
        )
