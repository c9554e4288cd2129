"""Process manager `notifier`: tells channels what their rules ask for, once each.

Delivery: each batch of the log is one transaction in the notifier's own state: the position, the notices that
follow, and the watches of what may become a condition. A crash before the commit leaves all of it unchanged,
and the batch is read again. What was being sent during a crash is sent again, marked `again`; a digest is
not. A new state begins at the log's end, as does one whose log was replaced.

Any number may run on one state: one works, the others watch a count that it raises, and the first one that
sees it stand still takes over. Each transaction checks that its notifier is still the one that works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from domain.errors import Busy
from domain.lifecycle.asyncio_tasks import end_tasks, wait_at_most
from domain.ports.log import LogReader
from domain.ports.notices import NoticeState, Standing, Superseded
from projections.notices.companion import Companion
from projections.notices.delivery import Delivery
from projections.notices.observer import Observer
from projections.notices.teller import Teller
from projections.notices.work import Work

BEAT_SECONDS = 2.0
TAKE_OVER_SECONDS = 10.0
RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Notifier:
    """One notifier; any number may run."""

    def __init__(
        self,
        reader: LogReader,
        state: NoticeState,
        teller: Teller,
        observer: Observer,
        deliveries: Sequence[Delivery],
        clock: Callable[[], datetime],
        companions: Sequence[Companion] = (),
        *,
        beat_seconds: float = BEAT_SECONDS,
        take_over_seconds: float = TAKE_OVER_SECONDS,
    ) -> None:
        self._log = reader
        self._state = state
        self._teller = teller
        self._observer = observer
        self._deliveries = {one.channel: one for one in deliveries}
        self._clock = clock
        self._companions = companions
        self._beat_seconds = beat_seconds
        self._take_over_seconds = take_over_seconds
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Ask `run` to end, once what is being sent is settled."""
        self._closing.set()
        for delivery in self._deliveries.values():
            delivery.wake()

    async def run(self) -> None:
        """Work, or wait until the one that works is gone; until `close`.

        Raises:
            LogGap: a sequence of the log is missing.
        """
        while not self._closing.is_set():
            try:
                if await self._take_over():
                    await self._work()
            except Superseded:
                log.warning("another notifier has taken over; standing by")
            except Busy as error:
                log.warning("the notifier cannot go on, and will try again", error=str(error))
                await wait_at_most(self._closing, RETRY_SECONDS)

    async def _take_over(self) -> bool:
        """Become the one that works, once none does; False when closing, or when another was faster."""
        seen = await self._state.standing()
        loop = asyncio.get_running_loop()
        since = loop.time()
        while seen.owner not in (None, self._state.owner) and loop.time() - since < self._take_over_seconds:
            await wait_at_most(self._closing, self._beat_seconds)
            if self._closing.is_set():
                return False
            now: Standing = await self._state.standing()
            if now != seen:
                seen, since = now, loop.time()
        return await self._state.take(seen)

    async def _work(self) -> None:
        """Work until `close`, or until an error."""
        work = Work(
            self._log,
            self._state,
            self._teller,
            self._observer,
            self._deliveries,
            self._clock,
            [one.hear for one in self._companions],
        )
        await work.begin()
        log.info("the notifier works", channels=len(self._deliveries))
        reading = [asyncio.create_task(one) for one in (work.follow(), work.look(), self._beat())]
        sending = [asyncio.create_task(one.run(self._closing)) for one in self._deliveries.values()]
        sending += [asyncio.create_task(one.run(self._closing)) for one in self._companions]
        closing = asyncio.create_task(self._closing.wait())
        try:
            done, _ = await asyncio.wait({closing, *reading, *sending}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await asyncio.gather(*sending)  # each ends what it sends just now
            await end_tasks(reading)
            await self._state.leave()
        finally:
            await end_tasks([closing, *reading, *sending])

    async def _beat(self) -> None:
        while True:
            await self._state.beat()
            await asyncio.sleep(self._beat_seconds)
