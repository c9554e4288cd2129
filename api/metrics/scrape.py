"""Refreshes gauges on scrape.

What is unknown is left out or NaN, so that an alert on its absence fires.
"""

from __future__ import annotations

import math

from api.dependencies import ApiParts
from api.metrics.registry import Metrics
from api.queries.figures.stock import RunnerStock, take_stock
from domain.ports.read_model import OpenQuestions


async def refresh_gauges(parts: ApiParts, metrics: Metrics) -> None:
    """Refresh the gauges of `metrics`."""
    stock = await take_stock(parts)
    metrics.locks(stock.locks.held, stock.locks.waiting, stock.locks.due)
    _runners(stock.runners, metrics)
    metrics.dead_letters(math.nan if stock.dead_letters is None else stock.dead_letters)
    metrics.tasks(stock.tasks or {})
    _questions(parts, stock.questions, metrics)
    now = parts.clock()
    for one in stock.notices or ():
        metrics.notices(one, max((now - one.oldest).total_seconds(), 0.0) if one.oldest is not None else 0.0)
    for name, lag in stock.lags.items():
        metrics.lag(name, *((lag.events, lag.seconds) if lag is not None else (math.nan, math.nan)))


def _runners(found: RunnerStock | None, metrics: Metrics) -> None:
    if found is None:
        metrics.runners({}, math.nan)
        metrics.outbox(math.nan)
        metrics.runner_conflicts(math.nan)
        metrics.heartbeats_fullness(math.nan)
        return
    metrics.runners(found.states, found.awaiting_operator)
    metrics.runner_conflicts(found.conflicts)
    metrics.outbox(found.outbox)
    metrics.heartbeats_fullness(found.fullness)


def _questions(parts: ApiParts, found: OpenQuestions | None, metrics: Metrics) -> None:
    if found is None:
        metrics.questions(math.nan, math.nan)
        return
    age = (parts.clock() - found.oldest).total_seconds() if found.oldest is not None else 0.0
    metrics.questions(found.number, max(age, 0.0))
