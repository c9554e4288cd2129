"""Opens the read model's database and creates its tables: SQLite by default, PostgreSQL by URL.

The data can be rebuilt from the log, so both databases are tuned for speed: a power cut may lose the last
transactions, but never a part of one, and a lost position is lost together with its rows. In PostgreSQL all
tables are in a schema of their own, so that other programs' tables are never touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from threading import Thread
from typing import Any

import aiosqlite
from sqlalchemy import Connection, delete, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from adapters.read_model.tables import SCHEMA_VERSION, metadata, positions, schema_version

TASKS_POSITION = "tasks"

_BUSY_SECONDS = 30
_CACHE_KIB = 16_384
_CHECKPOINT_PAGES = 8_000  # 32 MiB of WAL: a replay then writes hot pages once instead of ten times
POSTGRES_SCHEMA = "towpath"
_CREATE_LOCK = 0x746F7770617468  # "towpath": serialises processes that start concurrently


def open_database(
    url: str | URL, *, schema: str = POSTGRES_SCHEMA, survives_power_cut: bool = False
) -> AsyncEngine:
    """An engine for `sqlite:///<file>` or `postgresql://…`; connects on first use. Dispose it at the end.

    `survives_power_cut`: for data that no log can replace; each commit then waits for the disk.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(
            parsed.set(drivername="sqlite+aiosqlite"),
            connect_args={"timeout": _BUSY_SECONDS, "async_creator_fn": _connect_sqlite},
        )
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        if survives_power_cut:
            event.listen(engine.sync_engine, "connect", _sync_each_commit)
        return engine
    settings = {
        "search_path": schema,
        "synchronous_commit": "on" if survives_power_cut else "off",
        "jit": "off",
        # a process frozen inside a transaction must not block the one that takes over
        "idle_in_transaction_session_timeout": "5s",
        "statement_timeout": "30s",
    }
    return create_async_engine(
        parsed.set(drivername="postgresql+asyncpg"),
        pool_pre_ping=True,
        connect_args={"server_settings": settings},
    )


async def create_tables(engine: AsyncEngine) -> None:
    """Create the tables, or recreate them if they are of another schema version.

    Any number of processes may call it concurrently. After a change of version the read model is empty and
    its position is 0; the projection fills it again.
    """
    await make_tables(engine, _make)


async def make_tables(
    engine: AsyncEngine, make: Callable[[Connection], None], schema: str = POSTGRES_SCHEMA
) -> None:
    """Call `make` in a transaction that no other process's call runs beside."""
    _keep_private(engine.url)
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            await _write_ahead(connection)
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})")
            await connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        await connection.run_sync(make)
        await connection.commit()


def _keep_private(url: URL) -> None:
    """An SQLite file is its owner's alone, and what SQLite puts beside it takes its mode over."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return
    with contextlib.suppress(OSError):  # SQLite reports the error when it opens the file
        descriptor = os.open(url.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def _make(connection: Connection) -> None:
    if inspect(connection).has_table(schema_version.name):
        if connection.scalar(select(schema_version.c.version)) == SCHEMA_VERSION:
            return
        metadata.drop_all(connection)
    metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(schema_version).values(one=1, version=SCHEMA_VERSION))
    connection.execute(insert(positions).values(name=TASKS_POSITION, seq=0))


async def clear_tables(connection: AsyncConnection) -> None:
    """Empty every table and set the position to 0, in the caller's transaction."""
    await connection.execute(
        positions.update().values(seq=0, event_id=None)
    )  # first, since it waits for a concurrent `apply`
    kept = (positions, schema_version)
    emptied = [table for table in metadata.sorted_tables if table not in kept]
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"TRUNCATE {', '.join(table.name for table in emptied)}")
        return
    for table in emptied:  # without a WHERE, SQLite drops whole pages
        await connection.execute(delete(table))


async def _write_ahead(connection: AsyncConnection) -> None:
    """Switch the file to WAL; retried, since SQLite fails at once while another process does the same."""
    deadline = asyncio.get_running_loop().time() + _BUSY_SECONDS
    while True:
        try:
            await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)


def _connect_sqlite(*args: Any, **kwargs: Any) -> aiosqlite.Connection:
    """An unopened connection whose thread ends silently if its event loop has closed.

    The thread also answers abandoned calls: a canceled query, or the close of a connection that failed to
    open. When a command ends, such an answer may come after its event loop has closed. The exception in the
    thread would then be printed below the command's output.
    """
    connection = aiosqlite.connect(*args, **kwargs)
    run = connection._thread.run  # noqa: SLF001  no public way: the connection makes its thread itself
    connection._thread = Thread(target=_answer, args=(run,), daemon=True)  # noqa: SLF001
    return connection


def _answer(run: Callable[[], None]) -> None:
    try:
        run()
    except RuntimeError:  # errors of queries are caught inside: this one is from the closed event loop
        return


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Apply the settings of a connection; WAL is a setting of the file."""
    cursor: sqlite3.Cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    cursor.close()


def _sync_each_commit(connection: Any, _record: Any) -> None:
    cursor: sqlite3.Cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
