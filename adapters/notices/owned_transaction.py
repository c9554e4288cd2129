"""A transaction on the notifier's state that only the notifier that works may make."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.notices.tables import notifier
from adapters.read_model.errors import translated
from domain.ports.notices import Superseded


@asynccontextmanager
async def owned_transaction(engine: AsyncEngine, owner: str | None) -> AsyncIterator[AsyncConnection]:
    """A transaction that writes; only while `owner` is the one that works, unless it is None.

    Raises:
        Superseded: another one works.
        Busy: the database is away.
    """
    with translated():
        async with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            if owner is not None and owner != await connection.scalar(
                select(notifier.c.owner).with_for_update()
            ):
                raise Superseded("another notifier works now")
            yield connection
            await connection.commit()
