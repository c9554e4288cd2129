"""Writes a batch and its position in one transaction.

The position is read under a lock that lasts until the commit (SQLite's write lock, PostgreSQL's row lock). If
two processes apply the same events, one waits and then skips them. SQLAlchemy opens and pools the
connections, but rows are written through the drivers directly: on SQLite a whole batch is then one hop to the
connection's thread, while a hop for each statement would cost more than the statements.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.database import TASKS_POSITION
from adapters.read_model.event_index import index_rows
from adapters.read_model.tables import event_index, grants, status_counts, task_labels, tasks
from adapters.read_model.writing.claim_rows import BOUND
from adapters.read_model.writing.fold import NEEDED, Batch
from adapters.read_model.writing.kept_judge import LOAD_CLAIMS, LOAD_REGISTRATIONS, KeptJudge, loaded
from domain.identifiers import LogSeq
from domain.log.record import Recorded

_FACTS = tuple(column.name for column in grants.columns)[3:]
_NEEDED = f"SELECT id, {', '.join(NEEDED)} FROM {tasks.name} WHERE id"
_POSITION = f"SELECT seq, event_id FROM positions WHERE name = '{TASKS_POSITION}'"


class BatchWriter(Protocol):
    """Applies batches to one kind of database."""

    async def write(self, events: Sequence[Recorded]) -> LogSeq:
        """Apply the events after the position; return the new position."""
        ...


def batch_writer(engine: AsyncEngine) -> BatchWriter:
    """The writer for the engine's kind of database."""
    return SqliteWriter(engine) if engine.dialect.name == "sqlite" else PostgresWriter(engine)


class SqliteWriter:
    """Writes through the sqlite3 connection that aiosqlite keeps in its thread."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._statements = Statements(lambda number: "?")
        self._kept = KeptJudge()

    async def write(self, events: Sequence[Recorded]) -> LogSeq:
        """Apply the events after the position; return the new position."""
        async with self._engine.connect() as connection:
            pooled = await connection.get_raw_connection()
            driver: Any = pooled.driver_connection
            # aiosqlite 0.22 has no public way to run a function in its thread.
            position: LogSeq = await driver._execute(self._write, driver._conn, events)  # noqa: SLF001
            return position

    def _write(self, connection: sqlite3.Connection, events: Sequence[Recorded]) -> LogSeq:
        # the write lock comes before the position is read, so no other process moves it in between
        connection.execute("BEGIN IMMEDIATE")
        try:
            position, event_id = connection.execute(_POSITION).fetchone()
            judge = self._kept.take(position, event_id, events)
            if judge is None:
                judge = loaded(connection.execute(LOAD_REGISTRATIONS), connection.execute(LOAD_CLAIMS))
            batch = Batch.behind(position, events, judge)
            if batch.needs:
                ids = orjson.dumps(batch.needs).decode()
                rows = connection.execute(f"{_NEEDED} IN (SELECT value FROM json_each(?))", (ids,)).fetchall()
                batch.fold(rows)
            else:
                batch.fold(())
            for statement, values in self._statements.of(batch):
                connection.executemany(statement, values)
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
        self._kept.put(judge, batch.position, batch.events[-1].id if batch.events else event_id)
        return batch.position


class PostgresWriter:
    """Writes through asyncpg, which pipelines the rows of a statement."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._statements = Statements(lambda number: f"${number}")
        self._kept = KeptJudge()

    async def write(self, events: Sequence[Recorded]) -> LogSeq:
        """Apply the events after the position; return the new position."""
        async with self._engine.connect() as connection:
            pooled = await connection.get_raw_connection()
            driver: Any = pooled.driver_connection
            async with driver.transaction():
                position, event_id = await driver.fetchrow(f"{_POSITION} FOR UPDATE")
                judge = self._kept.take(position, event_id, events)
                if judge is None:
                    judge = loaded(await driver.fetch(LOAD_REGISTRATIONS), await driver.fetch(LOAD_CLAIMS))
                batch = Batch.behind(position, events, judge)
                needs = batch.needs
                batch.fold(await driver.fetch(f"{_NEEDED} = ANY($1::text[])", needs) if needs else ())
                for statement, values in self._statements.of(batch):
                    await driver.executemany(statement, values)
            self._kept.put(judge, batch.position, batch.events[-1].id if batch.events else event_id)
            return batch.position


def _newer_or_first(name: str) -> str:
    """What an upsert writes to a column of `grants`: the newer value, or the first one of BOUND."""
    places = (f"excluded.{name}", f"{grants.name}.{name}")
    return f"coalesce({', '.join(reversed(places) if name == BOUND else places)})"


class Statements:
    """The SQL of a batch, with the driver's placeholders; `mark(1)` is the first placeholder."""

    def __init__(self, mark: Callable[[int], str]) -> None:
        self._mark = mark
        self._insert_task, self._task_names = self._insert(tasks)
        self._insert_label, _ = self._insert(task_labels)
        insert_grant, _ = self._insert(grants)
        keep = ", ".join(f"{name} = {_newer_or_first(name)}" for name in _FACTS)
        self._upsert_grant = f"{insert_grant} ON CONFLICT (task_id, attempt) DO UPDATE SET {keep}"
        insert_count, _ = self._insert(status_counts)
        added = f"number = {status_counts.name}.number + excluded.number"
        self._add_to_count = f"{insert_count} ON CONFLICT (status) DO UPDATE SET {added}"
        insert_index, _ = self._insert(event_index)
        longer = f"offsets = {event_index.name}.offsets || excluded.offsets"
        self._extend_index = f"{insert_index} ON CONFLICT (event, block) DO UPDATE SET {longer}"
        advanced = f"seq = {mark(1)}, event_id = {mark(2)}"
        self._advance = f"UPDATE positions SET {advanced} WHERE name = '{TASKS_POSITION}'"

    def of(self, batch: Batch) -> Iterator[tuple[str, Sequence[Sequence[Any]]]]:
        """The statements, each with all its rows."""
        if not batch.events:
            return
        yield self._advance, [(batch.position, batch.events[-1].id)]
        if batch.new:
            names = self._task_names
            yield self._insert_task, [[row[name] for name in names] for row in batch.new.values()]
        yield from self._updates(batch)
        if batch.labels:
            yield self._insert_label, batch.labels
        if batch.grants:
            yield (
                self._upsert_grant,
                [(*key, grant["workspace"], *map(grant.get, _FACTS)) for key, grant in batch.grants.items()],
            )

        if changes := batch.status_changes():
            yield self._add_to_count, list(changes.items())
        yield self._extend_index, index_rows(batch.events)
        yield from self._judged(batch)

    def _judged(self, batch: Batch) -> Iterator[tuple[str, Sequence[Sequence[Any]]]]:
        for table, key, gone, written in batch.judged.changes():
            if gone:
                where = " AND ".join(f"{name} = {self._mark(n)}" for n, name in enumerate(key, 1))
                yield f"DELETE FROM {table.name} WHERE {where}", gone
            if written:
                yield self._insert(table)[0], written

    def _updates(self, batch: Batch) -> Iterator[tuple[str, Sequence[Sequence[Any]]]]:
        """Update only changed columns, since a write to a column also updates its indexes."""
        groups: dict[tuple[str, ...], list[Sequence[Any]]] = {}
        for task_id, changes in batch.known.items():
            groups.setdefault(tuple(changes), []).append((*changes.values(), task_id))
        for names, rows in groups.items():
            assign = ", ".join(f"{name} = {self._mark(n)}" for n, name in enumerate(names, 1))
            yield f"UPDATE {tasks.name} SET {assign} WHERE id = {self._mark(len(names) + 1)}", rows

    def _insert(self, table: Any) -> tuple[str, tuple[str, ...]]:
        names = tuple(column.name for column in table.columns)
        marks = ", ".join(self._mark(number) for number in range(1, len(names) + 1))
        return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", names
