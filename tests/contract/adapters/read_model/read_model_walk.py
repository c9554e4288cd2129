"""Feeds a read model (each batch twice), walks its pages, and gives it something to show."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

from domain.log.record import Recorded
from domain.ports.read_model import ReadModel, TaskFilter
from domain.task.view import TaskRead
from tests.contract.adapters.read_model.read_model_lives import Lives

EVERYTHING = TaskFilter()


async def feed(model: ReadModel, events: Sequence[Recorded], size: int = 1000) -> None:
    """Apply `events` in batches, each twice."""
    for start in range(0, len(events), size):
        batch = events[start : start + size]
        assert await model.apply(batch) == batch[-1].seq
        assert await model.apply(batch) == batch[-1].seq


async def walk(model: ReadModel, wanted: TaskFilter, limit: int) -> list[TaskRead]:
    """All pages of a list."""
    found: list[TaskRead] = []
    cursor = None
    while True:
        page, cursor = await model.find(wanted, limit, cursor)
        assert len(page) <= limit
        found += page
        if cursor is None:
            return found


def mixed() -> Lives:
    """Some lives of every kind, several tasks created at the same instant."""
    lives = Lives()
    lives.step = timedelta(0)
    chance = random.Random(7)
    for number in range(90):
        if number % 4 == 0:
            lives.now += timedelta(seconds=1)
        workspace = chance.choice([None, "acme", "zoo"])
        task_id = lives.create(
            workspace=workspace,
            pool=chance.choice(["default", "gpu"]),
            labels={"team": chance.choice(["a", "b"]), "n": str(number % 3)},
            title=f"Build {number % 7}: 100%_{chance.choice(['nightly', 'Nächte'])}",
        )
        if chance.random() < 0.8:
            lives.dispatch(task_id)
            if workspace:
                lives.settle(workspace)
        if chance.random() < 0.6:
            lives.report(task_id, "running", runner_id="r1")
        if chance.random() < 0.6:
            status = chance.choice(["succeeded", "failed", "canceled"])
            lives.report(task_id, status, exit_code={"succeeded": 0, "failed": number % 3 + 1}.get(status))
            if workspace:
                lives.settle(workspace)
        if chance.random() < 0.2:
            lives.dispatch(task_id)
            if workspace and chance.random() < 0.5:
                lives.settle(workspace)
    return lives
