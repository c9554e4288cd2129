"""Opens the read model's database and creates its tables: SQLite by default, PostgreSQL by URL.

Whatever stands here can be rebuilt from the log, so both are set for speed: after a power cut the last
transactions may be missing, but never a part of one, and the position is missing with its rows. In
PostgreSQL everything lies in a schema of its own, so that no other program's tables are ever touched.
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
_CHECKPOINT_PAGES = 8_000  # 32 MiB of write-ahead log: a replay writes hot pages once instead of ten times
_POSTGRES_SCHEMA = "towpath"
_CREATE_LOCK = 0x746F7770617468  # "towpath": serialises processes that start at once


def open_database(url: str | URL) -> AsyncEngine:
    """An engine for `sqlite:///<file>` or `postgresql://…`; opens nothing yet. Dispose it at the end."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(
            parsed.set(drivername="sqlite+aiosqlite"),
            connect_args={"timeout": _BUSY_SECONDS, "async_creator_fn": _connect_sqlite},
        )
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        return engine
    settings = {
        "search_path": _POSTGRES_SCHEMA,
        "synchronous_commit": "off",
        "jit": "off",
        # a process that is stopped in a transaction must not hold up the one that takes over
        "idle_in_transaction_session_timeout": "5s",
        "statement_timeout": "30s",
    }
    return create_async_engine(
        parsed.set(drivername="postgresql+asyncpg"),
        pool_pre_ping=True,
        connect_args={"server_settings": settings},
    )


async def create_tables(engine: AsyncEngine) -> None:
    """Make the tables, or make them anew where another schema version left them.

    Any number of processes may call it at once. After a change of version the read model is empty and
    its position 0: the projection fills it again.
    """
    _keep_private(engine.url)
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            await _write_ahead(connection)
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})")
            await connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {_POSTGRES_SCHEMA}")
        await connection.run_sync(_make)
        await connection.commit()


def _keep_private(url: URL) -> None:
    """An SQLite file is its owner's alone, and what SQLite puts beside it takes its mode over."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return
    with contextlib.suppress(OSError):  # SQLite says what is wrong with it
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
    """Empty every table and set the position to 0, inside the caller's transaction."""
    await connection.execute(
        positions.update().values(seq=0, event_id=None)
    )  # first: it waits for who applies now
    kept = (positions, schema_version)
    emptied = [table for table in metadata.sorted_tables if table not in kept]
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"TRUNCATE {', '.join(table.name for table in emptied)}")
        return
    for table in emptied:  # without a WHERE, SQLite drops the pages at once
        await connection.execute(delete(table))


async def _write_ahead(connection: AsyncConnection) -> None:
    """Switch the file to WAL; SQLite answers "locked" at once where another process does so, too."""
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
    """A connection, not opened yet, whose thread ends without a word where its event loop has closed.

    The thread also answers abandoned calls: a query that was cancelled, the end of a
    connection that could not be opened. At the end of a command that may come after the loop's end, and
    would be an exception in a thread, printed below the command's own words.
    """
    connection = aiosqlite.connect(*args, **kwargs)
    run = connection._thread.run  # noqa: SLF001  no public way: the connection makes its thread itself
    connection._thread = Thread(target=_answer, args=(run,), daemon=True)  # noqa: SLF001
    return connection


def _answer(run: Callable[[], None]) -> None:
    try:
        run()
    except RuntimeError:  # what it ran has been caught inside: this is the closed loop's own
        return


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Settings that belong to each connection; WAL belongs to the file."""
    cursor: sqlite3.Cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    cursor.close()
