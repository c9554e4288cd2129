"""A damaged file and a PostgreSQL that refuses are said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.errors import DatabaseDamaged, DatabaseRefuses, translated
from adapters.read_model.store import SqlReadModel
from infra.config.settings import load_settings
from infra.maintenance.damaged_read_model import move_aside
from tests.support.servers.postgres import running_postgres


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
