"""The database of notices: its tables, those of older versions brought up to date, and how to read it.

No transaction is cut off by a cancellation: the driver of SQLite may then never answer again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Connection, bindparam, insert, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.notices.tables import POSTGRES_SCHEMA, migrate, notices, notifier
from adapters.read_model.database import make_tables
from adapters.read_model.errors import translated
from domain.lifecycle.asyncio_tasks import uncut


@uncut
async def create_notice_tables(engine: AsyncEngine) -> None:
    """Create or migrate the tables; any number of processes may call it concurrently."""
    with translated():
        await make_tables(engine, _make, POSTGRES_SCHEMA)


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection that only reads, and holds up no writer. Raises Busy."""
    with translated():
        async with engine.connect() as connection:
            yield connection


def _make(connection: Connection) -> None:
    older = _names_no_task(connection)
    migrate(connection)
    if older:
        _name_tasks(connection)
    for index in notices.indexes:
        index.create(connection, checkfirst=True)
    if connection.scalar(select(notifier.c.one)) is None:
        connection.execute(insert(notifier).values(one=1, dead_seq=0, beat=0))


def _names_no_task(connection: Connection) -> bool:
    """Whether the table is that of a version without `task_id`."""
    found = inspect(connection)
    if not found.has_table(notices.name):
        return False
    return notices.c.task_id.name not in {one["name"] for one in found.get_columns(notices.name)}


def _name_tasks(connection: Connection) -> None:
    """Give the notices that there are the task that they are about."""
    key = notices.c.channel == bindparam("of"), notices.c.id == bindparam("which")
    named = update(notices).where(*key).values(task_id=bindparam("about"))
    kept = connection.execute(select(notices.c.channel, notices.c.id, notices.c.message)).all()
    about = [(one, (json.loads(one.message)["notice"].get("task") or {}).get("id")) for one in kept]
    rows = [{"of": one.channel, "which": one.id, "about": task_id} for one, task_id in about if task_id]
    if rows:
        connection.execute(named, rows)
