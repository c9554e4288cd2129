"""Capacity of the log, measured in the background.

A figure is at most EVERY_SECONDS old, NEAR_SECONDS where a bound comes near, so that what is written between
two looks stays far below the reserve. While NATS does not answer the last figures stay: nothing is appended
then either. Before the first answer nothing is known, and nothing is refused; the log's own refusal stands
behind it.
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
"""A bound is near when less than so many times its reserve is left."""

log = structlog.get_logger(__name__)


class MeasuredRoom:
    """Port `LogRoom`; `run` it beside whatever asks. `measure` raises Busy where it cannot."""

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
        """Measure once; the last figures stay where that fails."""
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
