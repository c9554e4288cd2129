"""Heartbeats three times a lease; each acknowledgement renews the lease.

The lease counts from the *sending* of a heartbeat: the control plane counts from its storing, which
is later, so this side is always the first to call it over. A failed heartbeat is not repeated by
itself; the next one says all there is to say. It goes over NATS, or, for a runner without NATS, to
`POST /runner/heartbeat`, whose answer says what is still wanted of the attempts it listed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import structlog

from domain.protocol import Heartbeat, Held
from runner.asyncio_tasks import wait_at_most
from runner.clock import boottime
from runner.config import RunnerConfig
from runner.control.lease import HeartbeatLease
from runner.errors import StateTrouble
from runner.store.disk_guard import Storage
from runner.store.state import RunnerState

log = structlog.get_logger(__name__)


class NotAcknowledged(Exception):
    """A heartbeat was not stored, or that is unknown; the message says why and, where it can, what to do."""


class BeatChannel(Protocol):
    """The way of heartbeats."""

    async def ready(self) -> None:
        """Wait for the way to be there at all."""

    async def send(self, beat: Heartbeat, seconds: float) -> None:
        """Return once the control plane has stored `beat`. Raises NotAcknowledged within `seconds`."""

    async def after(self, acknowledged: bool) -> None:
        """Learn what the control plane wants of what is held. Raises StateTrouble; may be cut short."""


class Attempts(Protocol):
    """The attempts that live on this lease."""

    def renew(self, deadline: float) -> None:
        """The lease lasts until `deadline` (CLOCK_BOOTTIME)."""

    def held(self) -> list[Held]:
        """Which attempts this runner has and has not reported as ended."""
        ...


class Heart:
    """Beats until it is canceled."""

    def __init__(
        self,
        config: RunnerConfig,
        runner_id: str,
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
        """Beat now: the connection is back."""
        self._soon.set()

    async def run(self) -> None:
        """Until canceled."""
        seconds = self._config.heartbeat_seconds
        while True:
            self._soon.clear()
            started = boottime()
            acknowledged = await self._beat()
            await self._within(seconds / 2, self._channel.after(acknowledged))
            self._storage.usable()  # so that trouble shows and passes also while nothing is submitted
            pause = seconds if acknowledged else min(1.0, seconds)
            await wait_at_most(self._soon, max(0.05, started + pause - boottime()))

    async def _beat(self) -> bool:
        seconds = self._config.heartbeat_seconds
        try:
            async with asyncio.timeout(2 * seconds):
                await self._channel.ready()
                beat, sent_at = self._say(), boottime()
                await self._channel.send(beat, seconds)
        except (NotAcknowledged, TimeoutError) as error:
            log.warning("heartbeat not acknowledged", error=str(error) or "no connection")
            return False
        self._attempts.renew(self._lease.renew(sent_at))
        return True

    async def _within(self, seconds: float, step: Awaitable[None]) -> None:
        """What takes longer must not delay the next heartbeat; it comes back with it."""
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
        except StateTrouble as trouble:  # a disk that fails must not cost the lease
            self._storage.note(trouble)
            return None

    def _say(self) -> Heartbeat:
        return Heartbeat(
            runner_id=self._runner_id,
            instance=self._state.instance,
            pools=list(self._config.pools),
            host=self._config.host,
            capacity=self._config.capacity,
            counter=self._state.next_counter(),
            held=self._attempts.held(),
            outbox=self._outbox(),
        )
