"""Databases for the notifier's state: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.notices.database import create_notice_tables
from adapters.notices.history import SqlNoticeHistory
from adapters.notices.store import SqlNoticeState
from adapters.notices.tables import POSTGRES_SCHEMA
from adapters.read_model.database import open_database

OpenState = Callable[[str], SqlNoticeState]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'notices.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def open_state(url: str) -> AsyncIterator[OpenState]:
    """Opens the state for a notifier of this name, with connections of its own."""
    engines = [open_database(url, schema=POSTGRES_SCHEMA, survives_power_cut=True)]
    await create_notice_tables(engines[0])

    def open_one(owner: str) -> SqlNoticeState:
        engines.append(open_database(url, schema=POSTGRES_SCHEMA, survives_power_cut=True))
        return SqlNoticeState(engines[-1], owner)

    yield open_one
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def state(open_state: OpenState) -> SqlNoticeState:
    """The state of the notifier that works."""
    made = open_state("one")
    assert await made.take(await made.standing())
    return made


@pytest.fixture
async def history(state: SqlNoticeState) -> SqlNoticeHistory:
    """What people see of `state`."""
    return SqlNoticeHistory(state._engine)
