"""Says every third of a lease what this runner is and holds, and turns each acknowledgement into lease.

The lease counts from the *sending* of a heartbeat: the control plane counts from its storing, which
is later, so this side is always the first to call it over. A failed heartbeat is not repeated by
itself; the next one says all there is to say.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from domain.wire import Heartbeat
from runner.clock import boottime
from runner.config import RunnerConfig
from runner.executor import Executor
from runner.follower import Follower
from runner.lease import HeartbeatLease
from runner.nats_link import NATS_TROUBLE, NatsLink
from runner.state import RunnerState
from runner.tasks import wait_at_most

log = structlog.get_logger(__name__)


class Heart:
    """Beats on `towpath.runner.<runner_id>`."""

    def __init__(
        self,
        config: RunnerConfig,
        runner_id: str,
        state: RunnerState,
        link: NatsLink,
        lease: HeartbeatLease,
        executor: Executor,
        follower: Follower,
    ) -> None:
        self._config = config
        self._runner_id = runner_id
        self._state = state
        self._link = link
        self._lease = lease
        self._executor = executor
        self._follower = follower
        self._soon = asyncio.Event()

    def hurry(self) -> None:
        """Beat now: the connection is back."""
        self._soon.set()

    async def run(self) -> None:
        """Until canceled."""
        while True:
            self._soon.clear()
            started = boottime()
            acknowledged = await self._beat()
            self._follower.nudge()
            if acknowledged:
                await self._settle()
            pause = (
                self._config.heartbeat_seconds if acknowledged else min(1.0, self._config.heartbeat_seconds)
            )
            await wait_at_most(self._soon, max(0.05, started + pause - boottime()))

    async def _settle(self) -> None:
        with contextlib.suppress(TimeoutError):  # slow reads must not delay the next heartbeat
            async with asyncio.timeout(self._config.heartbeat_seconds / 2):
                await self._follower.settle()

    async def _beat(self) -> bool:
        timeout = self._config.heartbeat_seconds
        subject = f"towpath.runner.{self._runner_id}"
        try:
            async with asyncio.timeout(2 * timeout):
                js = await self._link.jetstream()
                body, sent_at = self._say(), boottime()
                await js.publish(subject, body, stream="TOWPATH_RUNNER", timeout=timeout)
        except NATS_TROUBLE as error:
            log.warning("heartbeat not acknowledged", error=f"{type(error).__name__} {error}".strip())
            return False
        self._executor.renew(self._lease.renew(sent_at))
        return True

    def _say(self) -> bytes:
        return (
            Heartbeat(
                runner_id=self._runner_id,
                pools=list(self._config.pools),
                host=self._config.host,
                capacity=self._config.capacity,
                counter=self._state.next_counter(),
                held=self._executor.held(),
            )
            .model_dump_json()
            .encode()
        )
