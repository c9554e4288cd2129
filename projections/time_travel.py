"""Time travel: the locks as of any position, by a fold from the nearest earlier snapshot.

A rung is a snapshot of the lock table at a position. Near the head, rungs are RUNG_EVERY events apart,
further back at doubling distances, and their number is bounded. A query about a position d events back folds
at most max(RUNG_EVERY, about d / 8) events. Losing a rung only makes a fold longer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from domain.errors import Busy, NotFound
from domain.identifiers import LogSeq
from domain.locks.table import LockTable
from domain.ports.log import LogReader, Snapshots
from projections.folding.cooperative_fold import in_parts
from projections.folding.snapshots import fits, keep

RUNG_EVERY = 10_000
WIDTH = 16
PREFIX = "past."
WAITING = 8
TRAVEL_SECONDS = 120.0


class Ladder:
    """Saves rungs during an ordered fold of the log."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._last = -1

    def start(self, seq: LogSeq) -> None:
        """Note that the fold begins after `seq`."""
        self._last = seq // RUNG_EVERY

    async def climb(self, table: LockTable, event_id: str) -> None:
        """Save a rung at event `event_id`, if the fold has come far enough since the last one."""
        index = table.seq // RUNG_EVERY
        if index <= self._last:
            return
        self._last = index
        await keep(self._snapshots, slot(index), table.seq, event_id, table.snapshot())


def slot(index: int) -> str:
    """The snapshot name of rung `index` (1, 2, …); names repeat so that each level keeps its last WIDTH."""
    level = (index & -index).bit_length() - 1
    return f"{PREFIX}{level}.{(index >> (level + 1)) % WIDTH}"


class TimeTravel:
    """Port `Past`. One query folds at a time; up to WAITING others wait."""

    def __init__(self, reader: LogReader, snapshots: Snapshots) -> None:
        self._reader = reader
        self._snapshots = snapshots
        self._folding = asyncio.Lock()
        self._waiting = 0

    async def position(self, at: LogSeq | datetime) -> LogSeq:
        """See the port."""
        if isinstance(at, datetime):
            return await self._reader.seq_at(at)
        last = await self._reader.last_seq()
        if at > last:
            raise NotFound("beyond-the-log", f"the log ends at sequence {last}; ask for one that is there")
        return at

    async def locks(self, seq: LogSeq) -> LockTable:
        """See the port."""
        if self._waiting >= WAITING:
            raise Busy("busy", "too many ask about the past at once; send the same request again later")
        self._waiting += 1
        try:
            async with self._folding, asyncio.timeout(TRAVEL_SECONDS):
                return await self._fold(seq)
        except TimeoutError:
            raise Busy(
                "busy", "the past could not be read in time; send the same request again later"
            ) from None
        finally:
            self._waiting -= 1

    async def _fold(self, seq: LogSeq) -> LockTable:
        table = await self._nearest(seq)
        ladder = Ladder(self._snapshots)
        ladder.start(table.seq)
        if table.seq == seq:
            return table
        async for batch in self._reader.follow(table.seq):
            async for part in in_parts(batch):
                for event in part:
                    if event.seq > seq:
                        return table
                    table.fold(event)
            if table.seq >= seq:
                return table
            await ladder.climb(table, batch[-1].id)
        raise AssertionError("a log is followed without end")

    async def _nearest(self, seq: LogSeq) -> LockTable:
        """The table of the last rung of this log at or before `seq`; an empty table if there is none."""
        upto = seq
        while (found := await self._snapshots.latest(PREFIX, upto)) is not None:
            at, kept = found
            if await fits(self._reader, at, kept):
                return await asyncio.to_thread(LockTable.restore, kept["state"])
            upto = LogSeq(at - 1)
        return LockTable()
