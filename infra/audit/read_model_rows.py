"""Compares the read model with a replay: every task, its grants and labels.

The rows are read in one transaction, so they reflect one position, before or after the end of the verified
log. Tasks with events between the two are skipped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Float, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.read_model.database import TASKS_POSITION
from adapters.read_model.tables import (
    SCHEMA_VERSION,
    grants,
    positions,
    schema_version,
    task_labels,
    tasks,
)
from infra.audit.findings import VerifyReport
from infra.audit.task_states import AuditedState, TaskStates, digest_of

CHUNK = 2_000
_TASK = tuple(column.name for column in tasks.columns)
_GRANT = tuple(column.name for column in grants.columns)[2:]
_FLOATS = [place for place, column in enumerate(tasks.columns) if isinstance(column.type, Float)]


class OtherReadModel(Exception):
    """The read model has another version; the next process that uses it rebuilds it."""


class HeldInterval(NamedTuple):
    """`upto`: the last sequence that read model and verified log share; `last`: the verified log's end."""

    upto: int
    last: int


def rows_digest(state: AuditedState) -> bytes:
    """The rows that the read model must hold for a task, as bytes to compare."""
    row = state.row
    if not row:
        return b""
    values = [row[name] for name in _TASK]
    labels = sorted([key, value, row["created_at"]] for key, value in orjson.loads(row["labels"]).items())
    held = [[attempt, *map(grant.get, _GRANT)] for attempt, grant in sorted(state.grants.items())]
    return _digest(values, labels, held)


def _digest(values: list[Any], labels: list[list[Any]], held: list[list[Any]]) -> bytes:
    for place in _FLOATS:
        if values[place] is not None:
            values[place] = float(values[place])
    return digest_of([values, labels, held])


@asynccontextmanager
async def at_one_position(engine: AsyncEngine) -> AsyncIterator[tuple[AsyncConnection, int]]:
    """A transaction that sees one state of the read model, and the position of that state.

    Raises:
        OtherReadModel: its rows are of another version and cannot be compared.
    """
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        else:
            await connection.exec_driver_sql("BEGIN")
        if await connection.scalar(select(schema_version.c.version)) != SCHEMA_VERSION:
            raise OtherReadModel
        position = await connection.scalar(select(positions.c.seq).where(positions.c.name == TASKS_POSITION))
        yield connection, position or 0
        await connection.rollback()


async def compare(
    connection: AsyncConnection,
    span: HeldInterval,
    states: TaskStates,
    report: VerifyReport,
    progress: Callable[[int, int], None],
) -> None:
    """Compare every task. Raises TooMany (from the report)."""
    expected = states.count()
    last_id, seen = "", 0
    while True:
        wanted = select(tasks).where(tasks.c.id > last_id).order_by(tasks.c.id).limit(CHUNK)
        rows = (await connection.execute(wanted)).all()
        if not rows:
            break
        first_id, last_id = rows[0].id, rows[-1].id
        labels = await _beside(connection, task_labels, first_id, last_id)
        held = await _beside(connection, grants, first_id, last_id)
        for row in rows:
            seen += _compare(row, labels.get(row.id, []), held.get(row.id, []), span, states, report)
        progress(seen, max(expected, seen))
    report.tasks_compared = seen
    if seen < expected:
        await _find_missing(connection, span, states, report)


async def _beside(
    connection: AsyncConnection, table: Any, first_id: str, last_id: str
) -> dict[str, list[list[Any]]]:
    """The rows of `table` about tasks between two ids, by task, without the id."""
    names = ("attempt", *_GRANT) if table is grants else ("key", "value", "created_at")
    columns = [table.c[name] for name in names]
    between = (table.c.task_id >= first_id, table.c.task_id <= last_id)
    wanted = select(table.c.task_id, *columns).where(*between)
    found: dict[str, list[list[Any]]] = {}
    for task_id, *values in await connection.execute(wanted):
        found.setdefault(task_id, []).append(values)
    return found


def _compare(
    row: Any,
    labels: list[list[Any]],
    held: list[list[Any]],
    span: HeldInterval,
    states: TaskStates,
    report: VerifyReport,
) -> bool:
    """Compare one task; returns whether the verified log contains it."""
    known = states.rows(row.id)
    if row.seq > span.last or any((grant[-1] or 0) > span.last for grant in held):
        return known is not None
    if known is None:
        report.add(row.seq, "read-model", f"the read model has a task {row.id} that is not in the log")
        return False
    last_seq, digest = known
    if last_seq <= span.upto and _digest(list(row), sorted(labels), sorted(held)) != digest:
        report.add(
            last_seq,
            "read-model",
            f"the read model shows task {row.id} otherwise than its events do, the last of which stands at "
            f"sequence {last_seq}; make it anew with `towpath replay --rebuild`",
        )
    return True


async def _find_missing(
    connection: AsyncConnection, span: HeldInterval, states: TaskStates, report: VerifyReport
) -> None:
    for task_id, last_seq in states.sequences():
        if last_seq > span.upto:
            continue
        if await connection.scalar(select(tasks.c.seq).where(tasks.c.id == task_id)) is None:
            report.add(
                last_seq,
                "read-model",
                f"the read model lacks task {task_id}; make it anew with `towpath replay --rebuild`",
            )
