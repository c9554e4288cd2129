"""The overview: all figures of a moment, and what needs a person; made at most once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from pydantic import BaseModel, Field

from api.dependencies import ApiParts
from api.queries.figures.activity import (
    MOST_RUNNING,
    Contended,
    RunningRead,
    contended,
    most_contended,
    running,
    tasks_of,
)
from api.queries.figures.attention import (
    CONFIRMED_WITHIN,
    FAILURES_WITHIN,
    MOST_OF_A_KIND,
    Attention,
    Observed,
    attention,
    lost_holders,
    waited,
)
from api.queries.figures.stock import LagRead, bounded, take_stock
from domain.identifiers import LogSeq, TaskId
from domain.locks.claims import Waiter
from domain.ports.read_model import TaskFilter
from domain.protocol import RunnerState
from domain.task.transitions import Status
from domain.task.view import TaskRead

FRESH_SECONDS = 1.0
MINUTES = 60
MOST_FAILURES = 10_000
AT_ONCE = 8
_MINUTE = timedelta(minutes=1)
_CLOCKS_DIFFER = timedelta(seconds=5)


class LocksOverview(BaseModel):
    """Claims that hold and wait; `due`: workspaces with a lock event due; the longest wait now."""

    held: int
    waiting: int
    due: int
    longest_wait_seconds: float | None


class RoomRead(BaseModel):
    """A limit of the log; `reserve_bytes` are for ending what has begun."""

    name: str
    left_bytes: int
    reserve_bytes: int


class Overview(BaseModel):
    """All figures of a moment, at most a second old; null where one is unknown now."""

    time: datetime
    attention: list[Attention] = Field(description="what needs a person, the most urgent first")
    tasks: dict[Status, int] | None = Field(description="tasks by status")
    failed_last_hour: int | None
    locks: LocksOverview
    running: list[RunningRead] | None = Field(
        description=f"the {MOST_RUNNING} tasks that run and were created last, these first"
    )
    contended: list[Contended] = Field(description="where most claims wait")
    runners: dict[RunnerState, int] | None = Field(description="runners by state")
    awaiting_operator: int | None = Field(description="locks of lost runners that are kept for an operator")
    open_questions: int | None
    dead_letters: int | None
    log_room: list[RoomRead]
    lags: dict[str, LagRead | None]
    events_per_minute: list[int] | None = Field(
        description=f"events of each of the last {MINUTES} whole minutes, the oldest first"
    )
    events_this_minute: int | None = Field(description="events since the last whole minute")


class Overviews:
    """Makes the overview; requests within a second share one."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts
        self._rate = EventRate(parts)
        self._made: tuple[float, LogSeq, Overview] | None = None
        self._making = asyncio.Lock()

    async def now(self) -> tuple[LogSeq, Overview]:
        """The overview, and up to which sequence it certainly shows the log."""
        clock = asyncio.get_running_loop().time
        asked = clock()
        async with self._making:  # who waits here shares what is made meanwhile, however long that takes
            if self._made is None or asked - self._made[0] >= FRESH_SECONDS:
                began = clock()
                seq, overview = await self._make()
                self._made = (began, seq, overview)
            return self._made[1], self._made[2]

    async def _make(self) -> tuple[LogSeq, Overview]:
        parts = self._parts
        position = await bounded(parts.read_model.position())
        seq = min(parts.view.seq, position) if position is not None else parts.view.seq
        now = parts.clock()
        stock, runs, cancels, failures, rate = await asyncio.gather(
            take_stock(parts),
            bounded(parts.read_model.find(TaskFilter((Status.RUNNING,)), MOST_RUNNING, None, brief=True)),
            bounded(parts.read_model.unconfirmed_cancels(now - CONFIRMED_WITHIN, MOST_OF_A_KIND)),
            bounded(parts.read_model.failures_since(now - FAILURES_WITHIN, MOST_FAILURES)),
            bounded(self._rate.last()),
        )
        first = (parts.view.first_waiter(name) for name in parts.view.open_workspaces())
        waits = sorted((one for one in first if one), key=lambda one: one.claim.since)
        lost = lost_holders(parts, stock)
        named = [one.claim.task_id for one in lost[:MOST_OF_A_KIND]]
        for waiter in waits[:MOST_OF_A_KIND]:
            named += [waiter.claim.task_id, *waiter.blocked_by[:1]]
        crowded = most_contended(parts, waits)
        named += [one for waiter in crowded for one in tasks_of(waiter)]
        if stock.questions is not None and stock.questions.task_id is not None:
            named.append(stock.questions.task_id)
        known = stock.tasks is not None  # else its database is away: another wait would be in vain
        titles = await bounded(_titles(parts, named)) if known else None
        seen = Observed(stock, lost, waits, cancels, failures, titles or {}, parts.clock())
        return seq, _overview(parts, seen, crowded, runs[0] if runs is not None else None, rate)


class Rate(NamedTuple):
    """Events of the last whole minutes, the oldest first, and of the minute that has begun."""

    whole: list[int]
    begun: int


class EventRate:
    """Events of each of the last minutes, from the log's positions at whole minutes, which are final."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts
        self._seqs: dict[datetime, LogSeq] = {}

    async def last(self) -> Rate:
        """Those of the whole minutes, and of the one that has begun as far as this process has folded it."""
        now = self._parts.clock()
        end = now.replace(second=0, microsecond=0)
        times = [end - _MINUTE * number for number in range(MINUTES, -1, -1)]
        self._seqs = {at: seq for at, seq in self._seqs.items() if times[0] <= at}
        slots = asyncio.Semaphore(AT_ONCE)

        async def look(at: datetime) -> LogSeq:
            async with slots:
                return await self._parts.log.seq_at(at)

        missing = [at for at in times if at not in self._seqs]
        found = dict(zip(missing, await asyncio.gather(*map(look, missing)), strict=True))
        self._seqs |= {at: seq for at, seq in found.items() if now - at > _CLOCKS_DIFFER}
        seqs = [found[at] if at in found else self._seqs[at] for at in times]
        begun = max(self._parts.view.seq - seqs[-1], 0)
        return Rate([max(after - before, 0) for before, after in pairwise(seqs)], begun)


async def _titles(parts: ApiParts, ids: Sequence[TaskId]) -> dict[TaskId, str]:
    if not ids:
        return {}
    found, _ = await parts.read_model.find(
        TaskFilter(ids=tuple(dict.fromkeys(ids))), len(ids), None, brief=True
    )
    return {one.id: one.title for one in found}


def _overview(
    parts: ApiParts,
    seen: Observed,
    crowded: Sequence[Waiter],
    runs: Sequence[TaskRead] | None,
    rate: Rate | None,
) -> Overview:
    stock, runners = seen.stock, seen.stock.runners
    longest = waited(seen.waits[0], seen.now).total_seconds() if seen.waits else None
    return Overview(
        time=seen.now,
        attention=attention(parts, seen),
        tasks={Status(name): number for name, number in stock.tasks.items()}
        if stock.tasks is not None
        else None,
        failed_last_hour=seen.failures.number + seen.failures.on_request if seen.failures else None,
        locks=LocksOverview(**stock.locks._asdict(), longest_wait_seconds=longest),
        running=[running(one) for one in runs] if runs is not None else None,
        contended=[contended(parts, one, seen.titles, seen.now) for one in crowded],
        runners=runners.states if runners is not None else None,
        awaiting_operator=runners.awaiting_operator if runners is not None else None,
        open_questions=stock.questions.number if stock.questions is not None else None,
        dead_letters=stock.dead_letters,
        log_room=[
            RoomRead(name=one.name, left_bytes=max(one.left, 0), reserve_bytes=one.reserve)
            for one in parts.capacity.bounds()
        ],
        lags=stock.lags,
        events_per_minute=rate.whole if rate is not None else None,
        events_this_minute=rate.begun if rate is not None else None,
    )
