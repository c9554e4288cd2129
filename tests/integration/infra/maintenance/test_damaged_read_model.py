"""A damaged file and a PostgreSQL that refuses are said in one line, and hold up no lock."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats.aio.client import Client
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.errors import DatabaseDamaged, DatabaseRefuses, translated
from adapters.read_model.snapshots import SqlSnapshots
from adapters.read_model.store import SqlReadModel
from infra.config.settings import load_settings
from infra.maintenance.damaged_read_model import move_aside
from projections.locks import LockProjection
from projections.snapshots import keep, take_up
from tests.integration.projections.stage import Stage
from tests.support.postgres import running_postgres
from tests.support.worlds import now


async def _made(path: Path) -> None:
    engine = open_database(f"sqlite:///{path}")
    await create_tables(engine)
    await engine.dispose()


def _damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    path.write_bytes(b"no database" * 2000 if how == "garbage" else whole[: len(whole) // 2 // 4096 * 4096])


async def _make(engine: AsyncEngine) -> None:
    with translated():
        await create_tables(engine)


async def _read(engine: AsyncEngine) -> None:
    with translated():
        async with engine.connect() as connection:
            for name in ("tasks", "checkpoints", "positions", "grants", "task_labels"):
                await connection.execute(text(f"SELECT * FROM {name}"))


@pytest.mark.parametrize("how", ["garbage", "truncated"])
async def test_a_damaged_file_is_said_in_one_line_and_moved_aside(tmp_path: Path, how: str) -> None:
    path = tmp_path / "read-model.db"
    await _made(path)
    settings = load_settings(data_dir=tmp_path)
    assert move_aside(settings) is None
    _damage(path, how)
    engine = open_database(f"sqlite:///{path}")
    with pytest.raises(DatabaseDamaged) as raised:
        await _read(engine)
    await engine.dispose()
    assert "move read-model.db* in the data directory" in raised.value.detail
    assert "made again from the log" in raised.value.detail
    assert "sqlalche" not in raised.value.detail
    assert "\n" not in raised.value.detail
    said = move_aside(settings)
    assert said is not None
    assert "made again from the log" in said
    assert not path.exists()
    assert len(list(tmp_path.glob("read-model.db.damaged-*"))) >= 1
    await _made(path)
    assert move_aside(settings) is None


async def test_locks_are_granted_on_a_damaged_database(
    js_connection: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.locks.CHECKPOINT_EVERY", 1)
    path = tmp_path / "read-model.db"
    await _made(path)
    _damage(path, "garbage")
    engine = open_database(f"sqlite:///{path}")
    checkpoints = SqlSnapshots(engine)
    async with Stage(js_connection) as stage:
        with pytest.raises(DatabaseDamaged):
            await SqlReadModel(engine).position()
        assert await take_up(checkpoints, stage.world.reader, "locks") is None
        await keep(checkpoints, "locks", 1, "id", {})
        projector = LockProjection(stage.world.reader, stage.world.locks, checkpoints, now)
        stage.run(projector.run())
        await stage.register()
        first = await stage.dispatch("src")
        await stage.until(("granted", first))
    await engine.dispose()


async def test_a_postgres_that_refuses_is_said_in_one_line() -> None:
    with running_postgres() as postgres:
        url = postgres.fresh_database()
        admin = open_database(url)
        async with admin.begin() as connection:
            await connection.execute(text("CREATE ROLE guest LOGIN"))
        guest = open_database(make_url(url).set(username="guest"))
        with pytest.raises(DatabaseRefuses) as raised:
            await _make(guest)
        assert "permission denied" in raised.value.detail
        assert "sqlalche" not in raised.value.detail
        assert "\n" not in raised.value.detail
        async with admin.begin() as connection:
            await connection.execute(text("CREATE SCHEMA towpath"))
            await connection.execute(text("CREATE TABLE towpath.positions (other int)"))
        with pytest.raises(DatabaseRefuses, match="schema towpath"):
            await SqlReadModel(admin).position()
        await guest.dispose()
        await admin.dispose()
