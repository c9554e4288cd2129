"""Queries of the read model besides lists, and the views of its rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, RowMapping, Select, func, select

from adapters.read_model.tables import grants, tasks
from adapters.read_model.writing.rows import HOLD, RELEASED
from domain.identifiers import TaskId, WorkspaceId
from domain.log.events import RetryPolicy
from domain.protocol import rfc3339
from domain.task import retries
from domain.task.transitions import Status
from domain.task.view import LockRead, TaskRead

_JSON = ("command", "lock_paths", "labels")
_HIDDEN = ("created_seq", "ended_on_request", "asked_at", "asked_until", "cancel_asked_at")
_STOPPING = (Status.DISPATCHED.value, Status.QUEUED.value, Status.RUNNING.value)
_LOCK = {"lock_state": "state", "lock_token": "token", "lock_since": "since"}


def lock_facts(workspace: WorkspaceId | None, task_id: TaskId | None, limit: int) -> Select[Any]:
    """The granted, refused and released sequences of the `limit` most recently changed attempts.

    Rows are ordered by their own last fact, so they contain the `limit` most recent facts.
    """
    found = select(grants.c.granted_seq, grants.c.refused_seq, grants.c.released_seq)
    found = found.where(grants.c.last_seq.is_not(None))
    if workspace is not None:
        found = found.where(grants.c.workspace == workspace)
    if task_id is not None:
        found = found.where(grants.c.task_id == task_id)
    return found.order_by(grants.c.last_seq.desc()).limit(limit)


def chars_of(row: RowMapping) -> int:
    """The length of those fields of a row that may be large."""
    return sum(len(row[name] or "") for name in (*_JSON, "output_tail"))


def _next_attempt(fields: dict[str, Any]) -> datetime | None:
    """When the next attempt begins by itself. Takes the columns for that out of `fields`."""
    stored, ended_at, bar = (fields.pop(name) for name in ("retry", "ended_at", "retry_bar"))
    if stored is None:
        return None
    policy = fields["retry"] = RetryPolicy.model_validate_json(stored)
    status, attempt = Status(fields["status"]), fields["attempt"]
    stopped = fields["cancel_requested"] or bar == RELEASED
    if not retries.retried(policy, status, attempt, fields["reason"], stopped=stopped, hold=bar == HOLD):
        return None
    return retries.next_at(policy, fields["id"], attempt, datetime.fromisoformat(ended_at))


def as_task(row: RowMapping) -> TaskRead:
    """The view of a row of `tasks`. Its queue position and blockers are not stored."""
    fields: dict[str, Any] = {**row}
    for name in _JSON:
        fields[name] = orjson.loads(fields[name])
    for name in _HIDDEN:
        del fields[name]
    fields["next_attempt_at"] = _next_attempt(fields)
    if fields["question"] is not None:
        fields["question"] = orjson.loads(fields["question"])
    lock = LockRead.model_validate({to: fields.pop(name) for name, to in _LOCK.items()})
    return TaskRead.model_validate({**fields, "lock": lock})


def unconfirmed_cancels(before: datetime, most: int) -> Select[Any]:
    """Attempts that were asked to stop before `before` and have not ended, the longest first."""
    asked = tasks.c.cancel_asked_at
    found = select(tasks.c.id, tasks.c.title, tasks.c.runner_id, asked).where(asked < rfc3339(before))
    running = found.where(tasks.c.status.in_(_STOPPING))
    return running.order_by(asked).limit(most)


def failures_since(at: datetime, most: int) -> Select[Any]:
    """How many of the newest `most` tasks failed after `at`, by runner, status, and whether on request.

    An index has all that it reads.
    """
    columns = (tasks.c.runner_id, tasks.c.status, tasks.c.ended_on_request)
    found = _failed(at, *columns).limit(most).subquery()
    groups = [found.c[column.name] for column in columns]
    return select(*groups, func.count()).group_by(*groups)


def newest_failures(at: datetime, limit: int) -> Select[Any]:
    """The titles of the newest `limit` of them that did not fail on request; reads no other row."""
    return _failed(at, tasks.c.title).where(~tasks.c.ended_on_request).limit(limit)


def _failed(at: datetime, *columns: Column[Any]) -> Select[Any]:
    """The tasks that failed after `at`, the newest first."""
    return select(*columns).where(tasks.c.ended_at > rfc3339(at)).order_by(tasks.c.ended_at.desc())
