"""The contract of `Snapshots`, in memory and in SQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.snapshots import SqlSnapshots
from adapters.read_model.store import SqlReadModel
from domain.ports.log import Snapshots
from tests.support.memory_store import MemorySnapshots


@pytest.fixture(params=["memory", "sqlite"])
async def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Snapshots]:
    if request.param == "memory":
        yield MemorySnapshots()
        return
    engine = open_database(f"sqlite+aiosqlite:///{tmp_path / 'towpath.db'}")
    await create_tables(engine)
    yield SqlSnapshots(engine)
    await engine.dispose()


async def test_what_was_never_saved_is_none(snapshots: Snapshots) -> None:
    assert await snapshots.load("locks") is None


async def test_state_comes_back_as_it_was(snapshots: Snapshots) -> None:
    state = {"seq": 7, "workspaces": {"käse": {"waiting": [], "last": [3, 2, "ab"], "owed": None}}}
    await snapshots.save("locks", 7, state)
    await snapshots.save("view", 5, [1])
    assert await snapshots.load("locks") == (7, state)
    assert await snapshots.load("view") == (5, [1])


async def test_what_is_changed_afterwards_was_not_saved(snapshots: Snapshots) -> None:
    state = {"open": [1]}
    await snapshots.save("locks", 1, state)
    state["open"].append(2)
    loaded = await snapshots.load("locks")
    assert loaded == (1, {"open": [1]})
    loaded[1]["open"].append(3)
    assert await snapshots.load("locks") == (1, {"open": [1]})


async def test_the_highest_position_stays(snapshots: Snapshots) -> None:
    await asyncio.gather(*(snapshots.save("locks", seq, {"at": seq}) for seq in (3, 9, 1, 9, 5)))
    assert await snapshots.load("locks") == (9, {"at": 9})
    await snapshots.save("locks", 9, {"at": "again"})
    assert await snapshots.load("locks") == (9, {"at": "again"})


async def test_the_latest_of_a_kind_up_to_a_position(snapshots: Snapshots) -> None:
    for name, seq in (("past.0.1", 10), ("past.1.0", 20), ("past_0", 15), ("view", 18)):
        await snapshots.save(name, seq, {"at": seq})
    assert await snapshots.latest("past.", 30) == (20, {"at": 20})
    assert await snapshots.latest("past.", 19) == (10, {"at": 10})
    assert await snapshots.latest("past.", 9) is None


async def test_an_older_snapshot_never_replaces_a_newer_one(engine: AsyncEngine) -> None:
    snapshots = SqlSnapshots(engine)
    assert await snapshots.load("locks") is None
    await snapshots.save("locks", 5, {"open": ["a\0"]})
    await snapshots.save("locks", 3, {"open": []})
    await snapshots.save("other", 1, None)
    assert await snapshots.load("locks") == (5, {"open": ["a\0"]})
    await snapshots.save("locks", 5, {"open": ["b"]})
    await asyncio.gather(*(snapshots.save("locks", seq, {"at": seq}) for seq in (9, 7, 8, 6)))
    assert await snapshots.load("locks") == (9, {"at": 9})
    assert await snapshots.load("other") == (1, None)
    await SqlReadModel(engine).reset()
    assert await snapshots.load("locks") is None
