"""Capacity of the log, measured in the background.

The limits are measured every EVERY_SECONDS, and every NEAR_SECONDS near a limit, so that the bytes written
between two measurements stay far below the reserve. While NATS does not answer, the last figures stay; no
event can be appended then. Until the first measurement the check fails open; the broker still rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from domain.errors import Busy
from domain.log.capacity import Bound

EVERY_SECONDS = 1.0
NEAR_SECONDS = 0.1
NEAR = 4
"""A limit is near when less than this many times its reserve is left."""

log = structlog.get_logger(__name__)


class MeasuredCapacity:
    """Port `LogCapacity`, updated by `run` in the background. `measure`: Busy if NATS does not answer."""

    def __init__(self, measure: Callable[[], Awaitable[Sequence[Bound]]]) -> None:
        self._measure = measure
        self._bounds: Sequence[Bound] = ()
        self._short: frozenset[str] = frozenset()

    def bounds(self) -> Sequence[Bound]:
        """See the port."""
        return self._bounds

    async def run(self) -> None:
        """Measure until canceled."""
        while True:
            await self.measure()
            near = any(bound.left < NEAR * bound.reserve for bound in self._bounds)
            await asyncio.sleep(NEAR_SECONDS if near else EVERY_SECONDS)

    async def measure(self) -> None:
        """Measure once; if that fails, the last figures stay."""
        try:
            self._bounds = tuple(await self._measure())
        except Busy as error:
            log.debug("room in the log not measured", error=error.detail)
            return
        short = frozenset(bound.name for bound in self._bounds if bound.spare <= 0)
        if short - self._short:
            log.warning("the log is nearly full: new work is refused", bounds=sorted(short))
        elif self._short - short:
            log.info("the log has room again", bounds=sorted(self._short - short))
        self._short = short
