"""Refreshes gauges on scrape.

Each query has a timeout, and a failed one affects only its own figures: they are left out or NaN, so that an
alert on their absence fires.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from api.dependencies import ApiParts
from api.metrics.registry import Metrics
from api.queries.runner_status import count_conflicts, count_runners, reports_waiting
from domain.errors import Busy
from domain.identifiers import LogSeq

ANSWER_SECONDS = 5.0
VIEW, READ_MODEL = "view", "read-model"


async def refresh_gauges(parts: ApiParts, metrics: Metrics) -> None:
    """Refresh the gauges of `metrics`."""
    locks = parts.view.open_locks()
    metrics.locks(locks.held, locks.waiting, locks.due)
    asks = (_runners, _dead_letters, _tasks, _questions, _lag, _backlogs)
    await asyncio.gather(*(_bounded(ask, parts, metrics) for ask in asks))


Ask = Callable[[ApiParts, Metrics, bool], Awaitable[None]]


async def _bounded(ask: Ask, parts: ApiParts, metrics: Metrics) -> None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await ask(parts, metrics, True)
    except (Busy, TimeoutError):
        await ask(parts, metrics, False)


async def _runners(parts: ApiParts, metrics: Metrics, known: bool) -> None:
    if not known:
        metrics.runners({}, math.nan)
        metrics.outbox(math.nan)
        metrics.runner_conflicts(math.nan)
        metrics.heartbeats_fullness(math.nan)
        return
    recent = await parts.heartbeats.recent()
    beats = [several[-1] for several in recent.values()]
    metrics.runners(*count_runners(parts, recent))
    metrics.runner_conflicts(count_conflicts(parts, recent))
    metrics.outbox(reports_waiting(parts, beats))
    metrics.heartbeats_fullness(await parts.heartbeats.fullness())


async def _dead_letters(parts: ApiParts, metrics: Metrics, known: bool) -> None:
    metrics.dead_letters(await parts.dead_letters.count() if known else math.nan)


async def _tasks(parts: ApiParts, metrics: Metrics, known: bool) -> None:
    metrics.tasks(await parts.read_model.count_by_status() if known else {})


async def _questions(parts: ApiParts, metrics: Metrics, known: bool) -> None:
    if not known:
        metrics.questions(math.nan, math.nan)
        return
    now = parts.clock()
    number, oldest = await parts.read_model.open_questions(now)
    age = (now - oldest).total_seconds() if oldest is not None else 0.0
    metrics.questions(number, max(age, 0.0))


async def _lag(parts: ApiParts, metrics: Metrics, known: bool) -> None:
    """How far this process's fold and the read model are behind the leader."""
    if not known:
        for name in (VIEW, READ_MODEL):
            metrics.lag(name, math.nan, math.nan)
        return
    last = await parts.log.last_seq()
    for name, position in ((VIEW, parts.view.seq), (READ_MODEL, await parts.read_model.position())):
        behind = max(last - position, 0)
        oldest = await parts.log.at([LogSeq(position + 1)]) if behind else []
        waited = max((parts.clock() - oldest[0].at).total_seconds(), 0.0) if oldest else 0.0
        metrics.lag(name, behind, waited)


async def _backlogs(parts: ApiParts, metrics: Metrics, known: bool) -> None:
    """How far the consumers of shared queues are behind; NaN for a queue without a consumer yet."""
    if not known:
        for name in parts.backlogs.names:
            metrics.lag(name, math.nan, math.nan)
        return
    for name, backlog in (await parts.backlogs.all()).items():
        if backlog is None:
            metrics.lag(name, math.nan, math.nan)
            continue
        waited = (parts.clock() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        metrics.lag(name, backlog.messages, max(waited, 0.0))
