"""Work of the one notifier: follows the log, looks at what begins by time, and records what is to be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from domain.identifiers import LogSeq
from domain.log.position import Position
from domain.log.record import Recorded
from domain.notices.watches import Watch, Watches
from domain.ports.log import LogReader
from domain.ports.notices import NoticeState, Placed, Step
from domain.services.positions import position_at, stands
from projections.folding.snapshots import patiently
from projections.notices.delivery import Delivery
from projections.notices.observer import Observer
from projections.notices.teller import Teller, Told

LOOK_SECONDS = 1.0
SAVE_POSITION = timedelta(seconds=5)
"""How long a position is kept in memory alone while it leads to nothing."""
READ_AT_ONCE = 32
KEEP_TOLD = timedelta(days=14)
FORGET_EVERY = timedelta(hours=1)

log = structlog.get_logger(__name__)


class Work:
    """From one `start` of the state to the loss of it."""

    def __init__(
        self,
        reader: LogReader,
        state: NoticeState,
        teller: Teller,
        observer: Observer,
        deliveries: Mapping[str, Delivery],
        clock: Callable[[], datetime],
        listeners: Sequence[Callable[[Sequence[Recorded]], None]] = (),
    ) -> None:
        """`listeners` hear of all events, after what they tell is recorded."""
        self._listeners = listeners
        self._log = reader
        self._state = state
        self._teller = teller
        self._observer = observer
        self._deliveries = deliveries
        self._clock = clock
        self._recording = asyncio.Lock()
        self._position = Position(0)
        self._due_upto: dict[str, int] = {}
        """Of each watch that is due, where the log ended when that was first seen."""
        self._saved_at = self._forgot_at = clock()

    async def begin(self) -> None:
        """Take up the state; at the log's end where it is new, or of another log."""
        now = self._clock()
        await self._state.configure({one.channel: one.kind for one in self._deliveries.values()})
        start = await self._state.start(now)
        self._watches = Watches(self._teller.rules.triggers, start.watches)
        self._windows = dict(start.windows)
        self._dead_seq = start.dead_seq
        last = await patiently(self._log.last_seq)
        self._observer.begin(last)
        known = start.position
        if known is not None and known.seq <= last and await patiently(lambda: stands(self._log, known)):
            self._position = known
            return
        if known is not None:
            log.warning("the log was replaced: notices go on at its end", position=known.seq, end=last)
        self._position = await patiently(lambda: position_at(self._log, last))
        self._dead_seq = await patiently(self._observer.last_letter)
        await self._state.record(Step(position=self._position, dead_seq=self._dead_seq))

    # ------------------------------------------------------------------ the log

    async def follow(self) -> None:
        """Follow the log until canceled. LogGap: a sequence is missing."""
        async for batch in self._log.follow(LogSeq(self._position.seq)):
            async with self._recording:
                told = await self._told_by(batch)
                last = batch[-1]
                self._position = Position(last.seq, last.id)
                if told or self._watches.changed or self._clock() - self._saved_at > SAVE_POSITION:
                    await self._record(told)
            for hear in self._listeners:
                hear(batch)

    async def _told_by(self, batch: Sequence[Recorded]) -> list[Told]:
        """What the events and the ends of conditions in them tell, in their order."""
        reading = list[Coroutine[Any, Any, Told | None]]()
        limit = asyncio.Semaphore(READ_AT_ONCE)

        async def limited(read: Coroutine[Any, Any, Told | None]) -> Told | None:
            async with limit:
                return await read

        for event in batch:
            ended = self._watches.fold(event)
            if self._teller.asks_for(event):
                reading.append(self._teller.of_event(event))
            reading += [self._teller.of_end(watch, event.at) for watch in ended]
        return [told for told in await asyncio.gather(*map(limited, reading)) if told is not None]

    # ------------------------------------------------------------------ what begins by time

    async def look(self) -> None:
        """Look at times, runners and dead letters until canceled."""
        while True:
            async with self._recording:
                await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        now = self._clock()
        told = list[Told]()
        for watch in await self._observer.runners(self._teller, self._watches, now):
            if (end := await self._teller.of_end(watch, now)) is not None:
                told.append(end)
        for watch in await self._surely_begun(now):
            begun = await self._teller.of_beginning(watch, self._observer.beat_of(watch), now)
            self._watches.told(watch, begun.channels)
            told.append(begun)
        seen, letters = await self._observer.letters(self._teller, self._dead_seq)
        moved, self._dead_seq = seen != self._dead_seq, seen
        told += letters
        if told or moved or self._watches.changed:
            await self._record(told)
        if now - self._forgot_at > FORGET_EVERY:
            self._forgot_at = now
            await self._state.forget(now - KEEP_TOLD)

    async def _surely_begun(self, now: datetime) -> list[Watch]:
        """Of what is due, what no event on its way can end: all that the log had by then has been read."""
        due = {watch.key: watch for watch in self._watches.due(now)}
        self._due_upto = {key: upto for key, upto in self._due_upto.items() if key in due}
        if new := due.keys() - self._due_upto.keys():
            last = await self._log.last_seq()
            self._due_upto |= dict.fromkeys(new, last)
        return [watch for key, watch in due.items() if self._due_upto[key] <= self._position.seq]

    # ------------------------------------------------------------------ both

    async def _record(self, told: Sequence[Told]) -> None:
        now = self._clock()
        notices = [self._place(one, channel, now) for one in told for channel in one.channels]
        await self._state.record(Step(self._position, self._dead_seq, notices, self._watches.taken()))
        self._saved_at = now
        for channel in {one.channel for one in notices}:
            self._deliveries[channel].wake()

    def _place(self, told: Told, channel: str, now: datetime) -> Placed:
        fact = told.fact
        timing = self._deliveries[channel].timing
        place = timing.place(now, urgent=fact.urgent, window_end=self._windows.get(channel))
        if place.bundles:
            self._windows[channel] = place.due_at
        return Placed(
            channel=channel,
            message=told.message,
            name=str(fact.trigger),
            place=fact.place,
            runner_id=fact.runner_id,
            at=now,
            due_at=place.due_at,
            bundles=place.bundles,
            urgent=fact.urgent,
        )
