"""The list of tasks as of a position in the log.

A row of the read model whose `seq` is not behind the position *is* the task's state then; the others are
folded from the log. Filters hold for the state then, so they are applied afterwards, to a bounded number of
tasks: a page may be short, even empty, and still name where to go on.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import orjson

from api.dependencies import ApiParts
from api.queries.event_pages import EventPages
from api.queries.paging import bad_cursor, decode_cursor, encode_cursor
from api.queries.positions import check_read_model
from api.queries.time_travel import lock_of, open_lock
from domain.identifiers import LogSeq, TaskId, check_task_id
from domain.locks.table import LockTable
from domain.ports.read_model import TaskFilter
from domain.protocol import rfc3339
from domain.runners.runner_key import is_named
from domain.task.requested_end import on_request
from domain.task.view import NO_LOCK, TaskRead, task_read

EXAMINED = 500
STEP = 50


async def tasks_at(
    parts: ApiParts, pages: EventPages, wanted: TaskFilter, seq: LogSeq, limit: int, cursor: str | None
) -> tuple[list[TaskRead], str | None]:
    """One page of the tasks that fit `wanted` after `seq`, in the wanted order, and the next page's cursor.

    Raises:
        Invalid: `cursor` is not one of this list (`bad-cursor`).
        Busy: the read model has not come to `seq` yet.
    """
    await check_read_model(parts, seq)
    before = _task_of(cursor) if cursor is not None else None
    table = await parts.past.locks(seq)
    await asyncio.to_thread(table.prepare)
    found: list[TaskRead] = []
    for _ in range(EXAMINED // STEP):
        rows = await parts.read_model.created_upto(seq, before, STEP, oldest_first=wanted.oldest_first)
        states = await asyncio.gather(*(_then(parts, pages, table, row) for row in rows))
        for state in states:
            before = state.id
            if _fits(state, wanted):
                found.append(state)
                if len(found) == limit:
                    return found, _cursor_at(state)
        if len(rows) < STEP:
            return found, None
    return found, _cursor_at(states[-1])


async def _then(parts: ApiParts, pages: EventPages, table: LockTable, row: TaskRead) -> TaskRead:
    """The task of the row as it was after `table.seq`."""
    if row.seq <= table.seq:
        row.lock = open_lock(table, row.id, row.attempt) or row.lock  # what was over then still is
        return row
    stored = await parts.commands.read_at(row.id, table.seq)
    task, lock = stored.task, NO_LOCK
    if task.needs_lock and task.attempt:
        lock = await lock_of(pages, task, table, table.seq)
    return task_read(task, stored.seq, lock)


def _fits(read: TaskRead, wanted: TaskFilter) -> bool:
    """Whether the state then is one that `wanted` describes."""
    return (
        (not wanted.status or read.status.value in wanted.status)
        and wanted.workspace in (None, read.workspace)
        and (wanted.pool is None or is_named(read.pool, wanted.pool))
        and (wanted.runner is None or is_named(read.runner_id or "", wanted.runner))
        and wanted.reason in (None, read.reason)
        and wanted.asking in (None, read.question is not None)
        and wanted.on_request in (None, on_request(read))
        and wanted.exit_code in (None, read.exit_code)
        and wanted.lock in (None, read.lock.state)
        and (wanted.min_attempt is None or read.attempt >= wanted.min_attempt)
        and (not wanted.ids or read.id in wanted.ids)
        and all(_ascii_lower(word) in _ascii_lower(read.title) for word in wanted.words)
        and all(read.labels.get(name) == value for name, value in wanted.labels)
        and _inside(read.created_at, wanted.created_after, wanted.created_before)
        and _inside(read.finished_at, wanted.finished_after, wanted.finished_before)
        and (wanted.id_part is None or read.id.startswith(wanted.id_part) or read.id.endswith(wanted.id_part))
    )


def _ascii_lower(text: str) -> bytes:
    """As the read model's databases compare: other letters keep their case."""
    return text.encode().lower()


def _inside(at: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if at is None:
        return after is None and before is None
    return (after is None or at > after) and (before is None or at < before)


def _cursor_at(read: TaskRead) -> str:
    """The cursor that goes on after this task; in the form of the other lists of tasks."""
    return encode_cursor(orjson.dumps([rfc3339(read.created_at), read.id]).decode())


def _task_of(cursor: str) -> TaskId:
    try:
        _, task_id = orjson.loads(decode_cursor(cursor))
        return check_task_id(task_id)
    except (ValueError, TypeError):
        raise bad_cursor() from None
