"""The read model's tables: made once by several, kept at a start, made anew for another schema version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.database import create_tables
from adapters.read_model.store import SqlReadModel
from adapters.read_model.tables import schema_version
from domain.ports.read_model import TaskFilter
from tests.contract.adapters.read_model.read_model_walk import feed, mixed, walk


async def test_tables_may_be_made_by_several_at_once(open_engine: Callable[[], AsyncEngine]) -> None:
    engines = [open_engine() for _ in range(4)]
    await asyncio.gather(*(create_tables(engine) for engine in engines))
    assert [await SqlReadModel(engine).position() for engine in engines] == [0] * 4


async def test_starting_again_keeps_what_is_there(model: SqlReadModel, engine: AsyncEngine) -> None:
    lives = mixed()
    await feed(model, lives.events)
    await create_tables(engine)
    assert await model.position() == len(lives.events)


async def test_another_schema_version_is_made_anew(
    model: SqlReadModel, engine: AsyncEngine, open_engine: Callable[[], AsyncEngine]
) -> None:
    lives = mixed()
    await feed(model, lives.events)
    async with engine.begin() as connection:
        await connection.execute(update(schema_version).values(version=0))
        await connection.execute(text("ALTER TABLE tasks RENAME COLUMN title TO heading"))
    newer = open_engine()
    await create_tables(newer)
    rebuilt = SqlReadModel(newer)
    assert await rebuilt.position() == 0
    await feed(rebuilt, lives.events)
    assert await walk(rebuilt, TaskFilter(), 50) == lives.newest_first()
