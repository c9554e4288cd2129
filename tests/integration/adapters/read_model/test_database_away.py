"""A database that goes away or is held up: nothing ends, nothing is lost, and what follows goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from nats.aio.client import Client
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.errors import DatabaseDamaged, DatabaseUnreachable, translated
from adapters.read_model.snapshots import SqlSnapshots
from adapters.read_model.store import SqlReadModel
from domain.ports.read_model import TaskFilter
from projections.folding.snapshots import keep, take_up
from projections.read_model import ReadModelProjection
from tests.integration.projections.harness import ProjectionHarness
from tests.support.servers.postgres import running_postgres
from tests.support.waiting import eventually


async def test_without_its_database_everything_says_busy_and_the_projection_goes_on(
    js_connection: Client, tmp_path: Path
) -> None:
    path = tmp_path / "model.db"
    engine = open_database(f"sqlite:///{path}")
    await create_tables(engine)
    model = SqlReadModel(engine)
    async with ProjectionHarness(js_connection) as harness:
        running = harness.run(ReadModelProjection(harness.log.reader, model).run())
        await harness.register()
        await harness.dispatch()

        async def applied() -> bool:
            return await model.position() == await harness.log.reader.last_seq()

        await eventually(applied)
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE positions RENAME TO away")
        other.close()
        for asked in (model.position(), model.apply([]), model.reset()):
            with pytest.raises(DatabaseUnreachable, match="TOWPATH_DATABASE_URL"):
                await asked
        assert (await model.find(TaskFilter(), 10, None))[0] != []
        await harness.dispatch()
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE away RENAME TO positions")
        other.close()
        await eventually(applied)
        assert not running.done()
    await engine.dispose()


@pytest.mark.parametrize(
    ("file", "error"), [("no/such/directory.db", DatabaseUnreachable), ("garbage.db", DatabaseDamaged)]
)
async def test_locks_are_granted_while_checkpoints_cannot_be_kept(
    js_connection: Client, tmp_path: Path, file: str, error: type[Exception]
) -> None:
    (tmp_path / "garbage.db").write_bytes(b"no database" * 2000)
    engine = open_database(f"sqlite:///{tmp_path / file}")
    checkpoints = SqlSnapshots(engine)
    async with ProjectionHarness(js_connection) as harness:
        with pytest.raises(error):
            await checkpoints.load("locks")
        assert await take_up(checkpoints, harness.log.reader, "locks") is None
        await keep(checkpoints, "locks", 1, "id", {})
        projector = harness.projector(checkpoints, snapshot_every=1)
        harness.run(projector.run())
        await harness.register()
        first = await harness.dispatch("src")
        await harness.until(("granted", first))
        await harness.report(first)
        await harness.until(("granted", first), ("released", first))
    await engine.dispose()


WAITING = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LONGEST_IDLE = "current_setting('idle_in_transaction_session_timeout')::interval"


async def test_a_transaction_that_stands_still_holds_postgres_up_for_seconds_only(
    js_connection: Client,
) -> None:
    """What a stopped process leaves behind: a session in a transaction that holds the position's lock."""
    with running_postgres() as postgres:
        engine = open_database(postgres.fresh_database())
        await create_tables(engine)
        model = SqlReadModel(engine)
        async with ProjectionHarness(js_connection) as harness, engine.connect() as stopped:
            await stopped.execute(text("SELECT seq FROM positions FOR UPDATE"))
            assert await stopped.scalar(text(f"SELECT {LONGEST_IDLE} BETWEEN '1ms' AND '5s'"))
            await harness.register()
            harness.run(ReadModelProjection(harness.log.reader, model).run())

            async def held_up() -> bool:
                async with engine.connect() as other:
                    return bool(await other.scalar(text(f"SELECT count(*) {WAITING}")))

            await eventually(held_up)

            async def applied() -> bool:
                return await model.position() == 1

            await eventually(applied, 30)
            with pytest.raises(DBAPIError, match="connection is closed"):
                await stopped.execute(text("SELECT 1"))
        await engine.dispose()


async def test_a_session_that_postgres_ends_is_trouble_that_passes(js_connection: Client) -> None:
    """As after a statement's or a transaction's time is over, a failover, or an operator's hand."""
    with running_postgres() as postgres:
        engine = open_database(postgres.fresh_database())
        await create_tables(engine)
        model, checkpoints = SqlReadModel(engine), SqlSnapshots(engine)
        async with ProjectionHarness(js_connection) as harness, engine.connect() as other:
            await harness.register()
            events = await harness.log.reader.page(0, 10)
            await other.execute(text("LOCK TABLE positions, checkpoints IN ACCESS EXCLUSIVE MODE"))
            asked = [
                asyncio.create_task(one)
                for one in (
                    model.position(),
                    model.apply(events),
                    model.reset(),
                    checkpoints.load("locks"),
                    checkpoints.latest("locks", 1),
                    checkpoints.save("locks", 1, {}),
                )
            ]

            async def all_wait() -> bool:
                await other.execute(text("SELECT pg_stat_clear_snapshot()"))
                return await other.scalar(text(f"SELECT count(*) {WAITING}")) == len(asked)

            await eventually(all_wait)
            await other.execute(text(f"SELECT pg_terminate_backend(pid) {WAITING}"))
            said = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in said] == [DatabaseUnreachable] * len(asked)
            await other.rollback()
            assert await model.apply(events) == 1
            assert await model.position() == 1
        await engine.dispose()


async def test_a_session_that_was_idle_when_postgres_ended_it_is_trouble_that_passes() -> None:
    """What the driver says depends on what it has seen: the server's word, its end, or neither."""
    with running_postgres() as postgres:
        engine = open_database(postgres.fresh_database())
        async with engine.connect() as other:

            async def ended_while_idle(turns: int) -> None:
                with translated():
                    async with engine.connect() as idle:
                        session = await idle.scalar(text("SELECT pg_backend_pid()"))
                        await other.execute(text(f"SELECT pg_terminate_backend({session})"))
                        for _ in range(turns):
                            await asyncio.sleep(0)
                        await idle.execute(text("SELECT 1"))

            for number in range(40):
                with pytest.raises(DatabaseUnreachable):
                    await ended_while_idle(number % 10)
        await engine.dispose()


def test_a_database_that_cannot_be_opened_leaves_no_thread_that_answers_a_closed_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without care every second of these threads raises."""
    said: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", said.append)

    async def open_it() -> None:
        with pytest.raises(OperationalError):
            async with open_database(f"sqlite:///{tmp_path / 'no' / 'model.db'}").connect():
                pass

    for _ in range(50):
        before = set(threading.enumerate())
        asyncio.run(open_it())
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
            assert not thread.is_alive()
    assert said == []
