"""Pages of the log by filter, newest first.

JetStream reads forwards only, so a page is read in stretches, each before the last one. A first stretch is
scanned, and events of some name are then found with the read model's index. What that does not know is read
by the log's own filters in stretches that become longer. A stretch is accepted only if the answer shows that
the replica has all of it: an event at its end or behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from api.dependencies import ApiParts
from api.queries import event_pages, named_events
from api.queries.event_pages import (
    EventPage,
    EventPages,
    EventSelection,
    is_by_name,
    lagging,
    stored_filters,
)
from domain.identifiers import LogSeq
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded

LONGER = 4


class NewestEvents:
    """Reads pages backwards. The `upto` of a page is its other end: nothing from there on is missing."""

    def __init__(self, parts: ApiParts, pages: EventPages) -> None:
        self._log, self._read_model = parts.log, parts.read_model
        self._pages = pages

    async def page(self, wanted: EventSelection, after: LogSeq, before: LogSeq, limit: int) -> EventPage:
        """Up to `limit` matching events after `after` and before `before`, newest first.

        Raises:
            Busy: a replica lags behind an answer of the leader.
        """
        if wanted.upto is not None:
            before = min(before, LogSeq(wanted.upto + 1))
        before = min(before, LogSeq(await self._log.last_seq() + 1))
        if wanted.task_id is not None:
            return await self._trail(wanted, after, before, limit)
        stored = stored_filters(wanted)
        if stored == [ALL_EVENTS]:
            return await self._scan(wanted, after, before, limit, limit, 1)
        index = named_events.UNKNOWN
        if is_by_name(wanted):
            index = await named_events.find(
                self._read_model, wanted.events, after, before, limit, newest=True
            )
        behind = max(after, min(index.position, LogSeq(before - 1)))
        page = await self._scan(
            wanted, behind, before, limit, event_pages.SCAN_STEP, 1 if stored else event_pages.SCAN_STEPS
        )
        left = limit - len(page.events)
        if not stored or not left or page.upto <= after + 1:
            return EventPage(page.events, page.upto, page.upto > after + 1)
        known = index.seqs[:left] if page.upto == behind + 1 else None
        rest = await named_events.read(self._log, wanted.events, known) if known is not None else None
        if rest is None:
            rest = await self._by_filters(stored, after, page.upto, left)
        upto = rest[-1].seq if len(rest) == left else LogSeq(after + 1)
        return EventPage([*page.events, *rest], upto, upto > after + 1)

    async def _by_filters(
        self, stored: Sequence[EventFilter], after: LogSeq, before: LogSeq, limit: int
    ) -> list[Recorded]:
        """The last `limit` events of any of the log's filters, newest first."""
        found = await asyncio.gather(*(self._stored(one, after, before, limit) for one in stored))
        merged = sorted((event for events in found for event in events), key=lambda event: -event.seq)
        return merged[:limit]

    async def _scan(
        self, wanted: EventSelection, after: LogSeq, before: LogSeq, limit: int, step: int, steps: int
    ) -> EventPage:
        """The page by reading at most `steps` stretches of `step` events."""
        found: list[Recorded] = []
        for _ in range(steps):
            first = max(after, LogSeq(before - 1 - step))
            wide = before - 1 - first
            if wide <= 0:
                break
            events = await self._log.page(first, wide)
            if [event.seq for event in events] != list(range(first + 1, before)):
                raise lagging()
            for event in reversed(events):
                before = event.seq
                if await self._pages.matches(event, wanted):
                    found.append(event)
                    if len(found) == limit:
                        return EventPage(found, before, before > after + 1)
        return EventPage(found, before, before > after + 1)

    async def _stored(self, stored: EventFilter, after: LogSeq, before: LogSeq, limit: int) -> list[Recorded]:
        """The last `limit` events of one of the log's filters, or all of them, newest first."""
        last = await self._log.last_seq_of(stored)
        before = min(before, LogSeq(last + 1))
        most, wide = max(limit, event_pages.SCAN_STEP), event_pages.SCAN_STEP * LONGER
        found: list[Recorded] = []
        while len(found) < limit and before - 1 > after:
            first = max(after, LogSeq(before - 1 - wide))
            events = await self._log.page(first, most, stored)
            inside = [event for event in events if event.seq < before]
            whole = len(inside) == before - 1 - first or (events and events[-1].seq >= min(before, last))
            if not whole and len(inside) == most:
                wide = max(most, wide // LONGER)
                continue
            if not whole:
                raise lagging()
            found += reversed(inside)
            before, wide = LogSeq(first + 1), wide * LONGER
        return found[:limit]

    async def _trail(self, wanted: EventSelection, after: LogSeq, before: LogSeq, limit: int) -> EventPage:
        """The page of one task, from its whole trail."""
        assert wanted.task_id is not None
        trail = await self._pages.whole_trail(wanted.task_id, LogSeq(before - 1), wanted)
        found = [event for event in trail if event.seq > after]
        page = found[::-1][:limit]
        upto = page[-1].seq if len(found) > limit else LogSeq(after + 1)
        return EventPage(page, upto, len(found) > limit)
