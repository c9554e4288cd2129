"""Snapshots of folds in SQL, beside the read model.

A snapshot only shortens the next start, so it is written in a transaction of its own. If several processes
save under one name, the highest position stays.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model import state_text
from adapters.read_model.errors import translated
from adapters.read_model.tables import snapshots
from domain.identifiers import LogSeq


class SqlSnapshots:
    """Snapshots in the database of `engine`, whose tables exist (`create_tables`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        saved = insert(snapshots)
        self._save = saved.on_conflict_do_update(
            index_elements=[snapshots.c.name],
            set_={"seq": saved.excluded.seq, "state": saved.excluded.state},
            where=snapshots.c.seq <= saved.excluded.seq,
        )

    async def load(self, name: str) -> tuple[LogSeq, Any] | None:
        """Position and state of snapshot `name`, or None."""
        wanted = select(snapshots.c.seq, snapshots.c.state).where(snapshots.c.name == name)
        with translated():
            async with self._engine.connect() as connection:
                row = (await connection.execute(wanted)).first()
        return (row.seq, await state_text.read(row.state)) if row is not None else None

    async def latest(self, prefix: str, upto: LogSeq) -> tuple[LogSeq, Any] | None:
        """The snapshot with the highest position up to `upto`, of those whose name begins with `prefix`."""
        named = snapshots.c.name.startswith(prefix, autoescape=True)
        wanted = select(snapshots.c.seq, snapshots.c.state).where(named, snapshots.c.seq <= upto)
        with translated():
            async with self._engine.connect() as connection:
                row = (await connection.execute(wanted.order_by(snapshots.c.seq.desc()).limit(1))).first()
        return (row.seq, await state_text.read(row.state)) if row is not None else None

    async def save(self, name: str, seq: LogSeq, state: Any) -> None:
        """Replace position and state (plain JSON data); an older position changes nothing."""
        values = {"name": name, "seq": seq, "state": await state_text.write(state)}
        with translated():
            async with self._engine.begin() as connection:
                await connection.execute(self._save, values)
