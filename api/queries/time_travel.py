"""A task and the locks as of a position in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from api.dependencies import ApiParts
from api.queries.event_pages import EventPages
from domain.identifiers import FencingToken, LogSeq, TaskId, WorkspaceId
from domain.locks.table import LockTable
from domain.locks.view import EntryPicture
from domain.task.aggregate import Task
from domain.task.view import NO_LOCK, LockRead, TaskRead, held, task_read, waiting


async def task_at(parts: ApiParts, pages: EventPages, task_id: TaskId, seq: LogSeq) -> TaskRead:
    """The task after `seq`, with its lock at that time. NotFound if it did not exist."""
    stored = await parts.commands.read_at(task_id, seq)
    task = stored.task
    lock = NO_LOCK
    if task.needs_lock and task.attempt:
        lock = await lock_of(pages, task, await parts.past.locks(seq), seq)
    return task_read(task, stored.seq, lock)


async def entries_of(table: LockTable, workspaces: Sequence[WorkspaceId]) -> list[EntryPicture]:
    """Holders and waiters of these workspaces in a past table, whose index must be built first."""

    def entries() -> list[EntryPicture]:
        return [EntryPicture(table, name) for name in workspaces]

    return await asyncio.to_thread(entries)


def open_lock(table: LockTable, task_id: TaskId, attempt: int) -> LockRead | None:
    """The lock of an attempt that holds or waits in a past table; None for any other."""
    grant = table.grant(task_id, attempt)
    if grant is not None:
        return held(grant)
    waiter = table.waiter(task_id, attempt)
    return waiting(waiter) if waiter is not None else None


async def lock_of(pages: EventPages, task: Task, table: LockTable, seq: LogSeq) -> LockRead:
    """The lock of the task's attempt in the table after `seq`, or how it had ended by then."""
    found = await asyncio.to_thread(open_lock, table, task.id, task.attempt)
    if found is not None:
        return found
    workspace = task.spec.workspace
    facts = await pages.lock_facts(task.id, workspace, seq) if workspace is not None else []
    of_attempt = {fact.event: fact for fact in facts if fact.attempt == task.attempt}
    released, granted = of_attempt.get("released"), of_attempt.get("granted")
    if released is None:
        return NO_LOCK
    return LockRead(
        state="released",
        token=FencingToken(granted.seq) if granted else None,
        since=datetime.fromisoformat(released.time),
    )
