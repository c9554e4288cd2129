"""Figures of the present (tasks, locks, runners, dead letters), for Prometheus and for the overview.

Each query has a timeout, and a failed one leaves only its own figures unknown (None). None of them grows with
the history of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from api.dependencies import ApiParts
from api.queries.runner_status import Beats, count_conflicts, count_runners, reports_waiting
from domain.errors import Busy
from domain.identifiers import LogSeq
from domain.ports.lock_view import OpenLocks
from domain.ports.notices import ChannelFigures
from domain.ports.read_model import OpenQuestions
from domain.protocol import RunnerState

ANSWER_SECONDS = 5.0
VIEW, READ_MODEL = "view", "read-model"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunnerStock:
    """Runners by state; locks that wait for an operator; ids used in turn; reports not delivered yet.

    `fullness`: the part of the room for heartbeats that is taken. `recent`: the last heartbeats by runner.
    """

    states: dict[RunnerState, int]
    awaiting_operator: int
    conflicts: int
    outbox: int
    fullness: float
    recent: Mapping[str, Beats]


class LagRead(BaseModel):
    """How many events or messages are not applied yet, and the age of the oldest."""

    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stock:
    """All figures; None: unknown now. `lags` by projection; None also for a queue without a consumer yet."""

    locks: OpenLocks
    runners: RunnerStock | None
    dead_letters: int | None
    tasks: dict[str, int] | None
    questions: OpenQuestions | None
    notices: Sequence[ChannelFigures] | None
    lags: dict[str, LagRead | None]


async def take_stock(parts: ApiParts) -> Stock:
    """Ask for all figures at once."""
    runners, dead_letters, tasks, questions, folds, queues = await asyncio.gather(
        bounded(_runners(parts)),
        bounded(parts.dead_letters.count()),
        bounded(parts.read_model.count_by_status()),
        bounded(parts.read_model.open_questions(parts.clock())),
        bounded(_folds(parts)),
        bounded(_queues(parts)),
    )
    notices = await bounded(_notices(parts))
    lags: dict[str, LagRead | None] = dict.fromkeys((VIEW, READ_MODEL, *parts.backlogs.names))
    return Stock(
        parts.view.open_locks(),
        runners,
        dead_letters,
        tasks,
        questions,
        notices,
        lags | (folds or {}) | (queues or {}),
    )


async def bounded(answer: Awaitable[T]) -> T | None:
    """The answer; None where there is none in time."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer
    except (Busy, TimeoutError):
        return None


async def _runners(parts: ApiParts) -> RunnerStock:
    recent = await parts.heartbeats.recent()
    states, awaiting = count_runners(parts, recent)
    beats = [several[-1] for several in recent.values()]
    return RunnerStock(
        states,
        awaiting,
        count_conflicts(parts, recent),
        reports_waiting(parts, beats),
        await parts.heartbeats.fullness(),
        recent,
    )


async def _notices(parts: ApiParts) -> Sequence[ChannelFigures]:
    return await parts.notices.figures(parts.clock()) if parts.notices is not None else ()


async def _folds(parts: ApiParts) -> dict[str, LagRead | None]:
    """How far this process's fold and the read model are behind the leader."""
    last, found = await parts.log.last_seq(), dict[str, LagRead | None]()
    for name, position in ((VIEW, parts.view.seq), (READ_MODEL, await parts.read_model.position())):
        behind = max(last - position, 0)
        oldest = await parts.log.at([LogSeq(position + 1)]) if behind else []
        waited = max((parts.clock() - oldest[0].at).total_seconds(), 0.0) if oldest else 0.0
        found[name] = LagRead(events=behind, seconds=waited)
    return found


async def _queues(parts: ApiParts) -> dict[str, LagRead | None]:
    """How far the consumers of shared queues are behind; None for a queue without a consumer yet."""
    found = dict[str, LagRead | None]()
    for name, backlog in (await parts.backlogs.all()).items():
        if backlog is None:
            found[name] = None
            continue
        waited = (parts.clock() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        found[name] = LagRead(events=backlog.messages, seconds=max(waited, 0.0))
    return found
