"""Databases for the read model's contracts: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'read.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def open_engine(url: str) -> AsyncIterator[Callable[[], AsyncEngine]]:
    """Opens the same database once more, as another process would."""
    engines: list[AsyncEngine] = []

    def open_one() -> AsyncEngine:
        engines.append(open_database(url))
        return engines[-1]

    yield open_one
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def engine(open_engine: Callable[[], AsyncEngine]) -> AsyncEngine:
    engine = open_engine()
    await create_tables(engine)
    return engine


@pytest.fixture
def model(engine: AsyncEngine) -> SqlReadModel:
    return SqlReadModel(engine)
