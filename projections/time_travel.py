"""Time travel: the locks as of any position, by a fold from the nearest earlier snapshot.

A rung is a snapshot of the lock table at a position. Near the head, rungs are RUNG_EVERY events apart,
further back at doubling distances, and their number is bounded. A query about a position d events back folds
at most max(RUNG_EVERY, about d / 512) events. Larger tables have fewer rungs, which would take more room than
the log: a query folds max(SPARSE * RUNG_EVERY, about d / 32). Losing a rung only makes a fold longer.

The states of the last questions are kept as plain data, from which each question gets a table of its own: an
index is built while it is read, perhaps in a thread.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from domain.errors import Busy, NotFound
from domain.identifiers import LogSeq
from domain.locks.table import LockTable
from domain.log.record import Recorded
from domain.ports.log import LogReader, Snapshots
from projections.folding.cooperative_fold import in_parts
from projections.folding.snapshots import fits, keep

RUNG_EVERY = 2_500
WIDTH = 1_024
PREFIX = "past."
FEW_PATHS = 500
"""A rung with fewer workspaces, claims and paths is small. Others are SPARSE times further apart."""
SPARSE = 4
LARGE_WIDTH = 64
WAITING = 8
KEPT = 16
MOST_KEPT_PATHS = 300_000
"""Claims and paths in all kept states together."""
MANY_PATHS = 50_000
"""Rungs with so many are SPARSE times further apart again."""
NEAR = 500
"""Events that are read as one page; a consumer costs more."""
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
        name = slot(index, _size(table) + sum(1 for _ in table.workspaces()))
        if name is not None:
            await keep(self._snapshots, name, table.seq, event_id, table.snapshot())


def slot(index: int, size: int = 0) -> str | None:
    """The snapshot name of rung `index` (1, 2, …) with `size` workspaces, claims and paths; None for no rung.

    Names repeat, so that each level keeps its last WIDTH.
    """
    level = (index & -index).bit_length() - 1
    if size < FEW_PATHS:
        return f"{PREFIX}{level}.{(index >> (level + 1)) % WIDTH}"
    if index % (SPARSE if size < MANY_PATHS else SPARSE**2):
        return None
    return f"{PREFIX}large.{level}.{(index >> (level + 1)) % LARGE_WIDTH}"


class _Kept(NamedTuple):
    """A state, and how many claims and paths it has."""

    state: dict[str, Any]
    size: int


class TimeTravel:
    """Port `Past`. One question folds at a time; up to WAITING wait, those about one sequence together."""

    def __init__(self, reader: LogReader, snapshots: Snapshots) -> None:
        self._reader = reader
        self._snapshots = snapshots
        self._folding = asyncio.Lock()
        self._folds: dict[LogSeq, asyncio.Task[_Kept]] = {}
        self._kept: OrderedDict[LogSeq, _Kept] = OrderedDict()

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
        kept = self._kept.get(seq)
        if kept is None:
            # other requests may wait for the same fold
            kept = await asyncio.shield(self._fold_of(seq))
        else:
            self._kept.move_to_end(seq)
        return await _restored(kept.state)

    def _fold_of(self, seq: LogSeq) -> asyncio.Task[_Kept]:
        fold = self._folds.get(seq)
        if fold is None:
            if len(self._folds) >= WAITING:
                raise Busy("busy", "too many ask about the past at once; send the same request again later")
            fold = self._folds[seq] = asyncio.create_task(self._in_turn(seq))
            fold.add_done_callback(lambda done: self._forget(seq, done))
        return fold

    def _forget(self, seq: LogSeq, fold: asyncio.Task[_Kept]) -> None:
        del self._folds[seq]
        if not fold.cancelled():
            fold.exception()  # all who asked may have left

    async def _in_turn(self, seq: LogSeq) -> _Kept:
        try:
            async with self._folding, asyncio.timeout(TRAVEL_SECONDS):
                table = await self._nearest(seq)
                if seq - table.seq > NEAR:  # steps back from here begin at a kept state, too
                    await self._fold(table, LogSeq(seq - NEAR // 2))
                    self._keep(table)
                await self._fold(table, seq)
        except TimeoutError:
            raise Busy(
                "busy", "the past could not be read in time; send the same request again later"
            ) from None
        return self._keep(table)

    def _keep(self, table: LockTable) -> _Kept:
        kept = self._kept[table.seq] = _Kept(table.snapshot(), _size(table))
        while len(self._kept) > 1 and (
            len(self._kept) > KEPT or sum(one.size for one in self._kept.values()) > MOST_KEPT_PATHS
        ):
            self._kept.popitem(last=False)
        return kept

    async def _fold(self, table: LockTable, seq: LogSeq) -> None:
        """Bring the table to `seq`."""
        if table.seq == seq:
            return
        ladder = Ladder(self._snapshots)
        ladder.start(table.seq)
        if seq - table.seq <= NEAR:
            await _fold_parts(table, await self._reader.page(table.seq, seq - table.seq), seq)
        if table.seq == seq:
            return
        async for batch in self._reader.follow(table.seq):
            await _fold_parts(table, batch, seq)
            if table.seq >= seq:
                return
            await ladder.climb(table, batch[-1].id)
        raise AssertionError("a log is followed without end")

    async def _nearest(self, seq: LogSeq) -> LockTable:
        """The table of the last state of this log at or before `seq`; an empty table if there is none."""
        known = max((at for at in self._kept if at <= seq), default=None)
        if known is not None and seq - known <= NEAR:
            return await _restored(self._kept[known].state)
        upto = seq
        while (found := await self._snapshots.latest(PREFIX, upto)) is not None:
            at, kept = found
            if known is not None and known > at:
                return await _restored(self._kept[known].state)
            if await fits(self._reader, at, kept):
                return await _restored(kept["state"])
            # a snapshot of the log before a restore: look further back
            upto = LogSeq(at - 1)
        return await _restored(self._kept[known].state) if known is not None else LockTable()


async def _restored(state: dict[str, Any]) -> LockTable:
    return await asyncio.to_thread(LockTable.restore, state)


async def _fold_parts(table: LockTable, events: Iterable[Recorded], upto: LogSeq) -> None:
    """Fold those of `events` that follow the table's position without a hole, up to `upto`."""
    following = [event for number, event in enumerate(events, table.seq + 1) if number == event.seq <= upto]
    if following:
        async for part in in_parts(following):
            for event in part:
                table.fold(event)


def _size(table: LockTable) -> int:
    """How many claims and paths the table has."""
    sizes = [table.open_size(workspace) for workspace in table.workspaces()]
    return sum(one.claims + one.paths for one in sizes)
