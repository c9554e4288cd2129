"""Why a task is where it is, or was: gathers what `domain.task.explain` puts into a sentence."""

from __future__ import annotations

import asyncio
import contextlib

from api.dependencies import ApiParts
from api.queries.event_pages import EventPages
from api.queries.time_travel import task_at
from domain.errors import NotFound
from domain.identifiers import LogSeq, TaskId
from domain.locks.view import LockEntry, entry_in_the_way
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.task.explain import Blocker, Why, blockers, explain
from domain.task.transitions import Status
from domain.task.view import TaskRead


async def why_now(parts: ApiParts, pages: EventPages, read: TaskRead) -> Why:
    """The explanation of the task as it is read now."""
    asked = await _cancel_request(parts, read)
    (last,) = await parts.log.at([await _end_of(parts, read) if asked is not None else read.seq])
    entry = None
    if read.workspace is not None:
        entry = parts.view.in_the_way(read.workspace, read.id, read.attempt)
    found = await _in_the_way(parts, read, entry)
    void = parts.view.void_dispatch(read.id, read.attempt)
    refused = None
    if void is None and _may_be_refused(read) and read.workspace is not None:
        facts = await pages.lock_facts(read.id, read.workspace, parts.view.seq)
        refused = _last(facts, read, "refused")
    return explain(read, last, found, asked, void, refused, now=parts.clock())


async def why_at(parts: ApiParts, pages: EventPages, task_id: TaskId, seq: LogSeq) -> Why:
    """The explanation of the task as it was after `seq`. NotFound if it did not exist then."""
    read = await task_at(parts, pages, task_id, seq)
    table = await parts.past.locks(seq)
    trail = await pages.whole_trail(task_id, seq)
    asked = _last(trail, read, "cancel-requested") if _was_asked(read) else None
    last = (_last(trail, read, read.status.value) if asked is not None else None) or next(
        event for event in reversed(trail) if event.seq == read.seq
    )
    entry = None
    if read.workspace is not None:
        entry = await asyncio.to_thread(entry_in_the_way, table, read.workspace, task_id, read.attempt)
    found = await _in_the_way(parts, read, entry)
    void = table.void_dispatch(task_id, read.attempt)
    refused = _last(trail, read, "refused") if void is None and _may_be_refused(read) else None
    (then,) = await parts.log.at([seq])
    return explain(read, last, found, asked, void, refused, now=then.at)


async def _in_the_way(parts: ApiParts, read: TaskRead, entry: LockEntry | None) -> list[Blocker]:
    """The claims that block it; the first one with its title, which never changes."""
    found = blockers(read, entry)
    if found:
        with contextlib.suppress(NotFound):
            found[0].title = (await parts.commands.read(found[0].task_id)).task.spec.title
    return found


def _may_be_refused(read: TaskRead) -> bool:
    """Whether its attempt may be about to end because its claim was refused."""
    return read.status is Status.DISPATCHED and read.workspace is not None and read.lock.state == "none"


def _was_asked(read: TaskRead) -> bool:
    """Whether a cancel request stands behind its end, or ended its retries; a report names no actor."""
    failed = read.status in (Status.FAILED, Status.SUBMIT_FAILED) and read.retry is not None
    return read.cancel_requested and (failed or read.status is Status.CANCELED)


def _last(events: list[Recorded], read: TaskRead, name: str) -> Recorded | None:
    """The last event of this name of the task's attempt."""
    of_attempt = (event for event in reversed(events) if event.attempt == read.attempt)
    return next((event for event in of_attempt if event.event == name), None)


async def _cancel_request(parts: ApiParts, read: TaskRead) -> Recorded | None:
    if not _was_asked(read):
        return None
    seq = await parts.log.last_seq_of(EventFilter("task", read.id, "cancel-requested"))
    found = await parts.log.at([seq])
    return found[0] if found and found[0].attempt == read.attempt else None


async def _end_of(parts: ApiParts, read: TaskRead) -> LogSeq:
    """The sequence of the event that ended the attempt."""
    return await parts.log.last_seq_of(EventFilter("task", read.id, read.status.value))
