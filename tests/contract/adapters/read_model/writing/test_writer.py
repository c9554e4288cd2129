"""Position and transactions of `ReadModel`, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.store import SqlReadModel
from domain.ports.log import LogGap
from tests.contract.adapters.read_model.read_model_lives import Lives
from tests.contract.adapters.read_model.read_model_walk import EVERYTHING, feed, mixed, walk


async def test_a_batch_may_overlap_what_was_applied(model: SqlReadModel) -> None:
    lives = mixed()
    await model.apply(lives.events[:10])
    assert await model.apply(lives.events[5:20]) == 20
    assert await model.apply(lives.events[:3]) == 20


async def test_a_hole_before_or_in_a_batch_is_a_gap(model: SqlReadModel) -> None:
    events = mixed().events
    await model.apply(events[:5])
    for batch in (events[6:9], [*events[5:8], *events[9:12]]):
        with pytest.raises(LogGap):
            await model.apply(batch)
    assert await model.position() == 5


async def test_a_skipped_version_of_a_task_is_a_gap(model: SqlReadModel) -> None:
    lives = Lives()
    lives.live()
    renumbered = [
        replace(event, seq=seq) for seq, event in enumerate([lives.events[0], *lives.events[2:]], 1)
    ]
    with pytest.raises(LogGap, match="version 3"):
        await model.apply(renumbered)
    assert await model.position() == 0


async def test_a_crash_before_the_commit_leaves_everything_as_it_was(
    model: SqlReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = mixed()
    await model.apply(lives.events[:50])
    before = await walk(model, EVERYTHING, 7)
    statements = model._writer._statements
    original = statements.of

    def breaks(batch: Any) -> Iterator[Any]:
        yield from original(batch)
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(statements, "of", breaks)
        with pytest.raises(RuntimeError, match="crash"):
            await model.apply(lives.events[50:])
    assert await model.position() == 50
    assert await walk(model, EVERYTHING, 7) == before
    await feed(model, lives.events[50:])
    assert await walk(model, EVERYTHING, 7) == lives.newest_first()


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
async def test_a_canceled_apply_leaves_a_whole_batch_or_none(model: SqlReadModel, turns: int) -> None:
    lives = mixed()
    await model.apply(lives.events[:50])
    applying = asyncio.create_task(model.apply(lives.events[50:]))
    for _ in range(turns):
        await asyncio.sleep(0)
    applying.cancel()
    await asyncio.gather(applying, return_exceptions=True)
    await feed(model, lives.events)
    assert await walk(model, EVERYTHING, 50) == lives.newest_first()


async def test_two_writers_at_once_apply_everything_once(
    model: SqlReadModel, open_engine: Callable[[], AsyncEngine]
) -> None:
    lives = mixed()
    other = SqlReadModel(open_engine())

    async def write(writer: SqlReadModel, size: int) -> None:
        for start in range(0, len(lives.events), size):
            await writer.apply(lives.events[start : start + size])

    await asyncio.gather(write(model, 3), write(other, 5), write(other, 4))
    assert await other.position() == len(lives.events)
    assert await walk(model, EVERYTHING, 50) == lives.newest_first()


async def test_a_rebuild_gives_the_same(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events, 11)
    before = await walk(model, EVERYTHING, 9), await model.lock_history("acme", None, 100)
    await model.reset()
    assert (await model.position(), await walk(model, EVERYTHING, 9)) == (0, [])
    assert await model.lock_history("acme", None, 100) == []
    await feed(model, lives.events, 1000)
    assert (await walk(model, EVERYTHING, 9), await model.lock_history("acme", None, 100)) == before


@pytest.mark.parametrize("seed", range(3))
async def test_a_void_dispatch_is_in_no_queue_whoever_has_applied_what_is_before_it(
    engine: AsyncEngine, seed: int
) -> None:
    """Workspaces move while tasks are dispatched; processes start, and overtake each other."""
    lives, chance = Lives(), random.Random(seed)
    lives.register("acme", "/w/acme")
    first = lives.table.judge.registrations.get("acme")
    assert first is not None
    other = replace(first, root="/w/other")
    models = [SqlReadModel(engine), SqlReadModel(engine)]
    applied = [0, 0]
    tasks = [lives.create(workspace="acme", lock_paths=[str(number % 3)]) for number in range(8)]
    voids = 0
    for _ in range(120):
        task_id = chance.choice(tasks)
        step = chance.choice(("register", "dispatch", "dispatch", "settle", "report", "cancel"))
        if step == "register":
            lives.register(chance.choice(["acme", "zoo"]), chance.choice(["/w/acme", "/w/other"]))
        elif step == "dispatch":
            lives.pinned = chance.choice([None, first, other])
            lives.dispatch(task_id)
        elif step == "report":
            lives.report(task_id, chance.choice(["running", "succeeded", "failed"]), runner_id="r1")
        elif step == "cancel":
            lives.act(task_id, lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
        else:
            lives.decide("acme")
        voids += sum(lives.table.void_dispatch(one, lives.tasks[one].attempt) is not None for one in tasks)
        number = chance.randrange(3)
        if number == 2:
            number = chance.randrange(2)
            models[number], applied[number] = SqlReadModel(engine), await models[0].position()
        await models[number].apply(lives.events[applied[number] :])
        applied[number] = len(lives.events)
        for one in tasks:
            assert await models[0].get(one) == lives.expected(one)
    assert voids
