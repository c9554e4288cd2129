"""Queries of the read model: pages of tasks, newest first.

A page merges one index range per wanted status (every status if the filter names none), each limited to the
page's length, so its cost does not grow with the number of tasks. A cursor names the last task shown, so no
task is skipped or repeated when others are created or changed between two pages.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    and_,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union,
    union_all,
)

from adapters.read_model.rows import HOLD, RELEASED, storable
from adapters.read_model.tables import END_OF_ID, grants, task_labels, tasks
from domain.errors import Invalid
from domain.identifiers import TaskId, WorkspaceId, check_task_id
from domain.log.events import RetryPolicy
from domain.ports.read_model import TaskFilter
from domain.protocol import rfc3339
from domain.runners.runner_key import is_shown_id
from domain.task import retries
from domain.task.transitions import Status
from domain.task.view import LockRead, TaskRead

_JSON = ("command", "lock_paths", "labels")
_LOCK = {"lock_state": "state", "lock_token": "token", "lock_since": "since"}
_STATUSES = tuple(status.value for status in Status)
_BEHIND_EVERY_DIGIT = "g"
PART_CANDIDATES = 1_000
"""Tasks examined for each end of an id; four random characters match one task in 65,536."""
_FINISHED = func.replace(tasks.c.finished_at, "Z", "")
"""Reported times have microseconds or no fraction at all; without the Z both sort as text."""
Place = tuple[str, str]


def page_of_tasks(wanted: TaskFilter, limit: int, after: str | None) -> Select[Any]:
    """Rows of `tasks`, newest first, at most `limit`.

    Raises:
        Invalid: `after` was not made by `cursor_at` (`bad-cursor`).
    """
    page = _places(wanted, _place(after) if after is not None else None, limit).subquery("page")
    return (
        select(tasks).join(page, tasks.c.id == page.c.id).order_by(page.c.created_at.desc(), page.c.id.desc())
    )


def count_of_tasks(wanted: TaskFilter, most: int) -> Select[Any]:
    """How many of the newest `most` matching tasks are in each status."""
    page = _places(wanted, None, most).subquery("page")
    return select(tasks.c.status, func.count()).join(page, tasks.c.id == page.c.id).group_by(tasks.c.status)


def _places(wanted: TaskFilter, place: Place | None, limit: int) -> Select[Any]:
    if wanted.id_part is not None:
        return _named_by_part(wanted, wanted.id_part, place, limit)
    return _labelled(wanted, place, limit) if wanted.labels else _merged(wanted, place, limit)


def _merged(wanted: TaskFilter, place: Place | None, limit: int) -> Select[Any]:
    ranges = []
    for status in wanted.status or _STATUSES:
        found = (
            select(tasks.c.id, tasks.c.created_at)
            .where(tasks.c.status == status, *_named(wanted), *_between(tasks.c, "id", wanted, place))
            .order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
            .limit(limit)
            .subquery()
        )
        ranges.append(select(found.c.id, found.c.created_at))
    merged = union_all(*ranges).subquery("merged")
    return (
        select(merged.c.id, merged.c.created_at)
        .order_by(merged.c.created_at.desc(), merged.c.id.desc())
        .limit(limit)
    )


def _labelled(wanted: TaskFilter, place: Place | None, limit: int) -> Select[Any]:
    (key, value), *more = wanted.labels
    label = task_labels.c
    found = select(label.task_id.label("id"), label.created_at).where(
        label.key == storable(key), label.value == storable(value), *_between(label, "task_id", wanted, place)
    )
    others = [*_named(wanted), *_with_labels(more)]
    if wanted.status:
        others.append(tasks.c.status.in_(wanted.status))
    if others:
        found = found.join(tasks, and_(tasks.c.id == label.task_id, *others))
    return found.order_by(label.created_at.desc(), label.task_id.desc()).limit(limit)


def _named_by_part(wanted: TaskFilter, part: str, place: Place | None, limit: int) -> Select[Any]:
    """Tasks whose id begins or ends with `part`: two limited index ranges, then the other filters."""
    last_four = func.substr(tasks.c.id, literal_column(str(END_OF_ID)))
    begins = select(tasks.c.id).where(tasks.c.id >= part, tasks.c.id < part + _BEHIND_EVERY_DIGIT)
    begins = begins.order_by(tasks.c.id.desc()).limit(PART_CANDIDATES)
    alike = select(tasks.c.id).where(last_four == part[-4:]).limit(PART_CANDIDATES).subquery("alike")
    ends = select(alike.c.id).where(func.substr(alike.c.id, 37 - len(part)) == part)
    ids = union(select(begins.subquery("begins").c.id), ends).subquery("named")
    others = [*_named(wanted), *_with_labels(wanted.labels), *_between(tasks.c, "id", wanted, place)]
    if wanted.status:
        others.append(tasks.c.status.in_(wanted.status))
    found = select(tasks.c.id, tasks.c.created_at).join(ids, tasks.c.id == ids.c.id).where(*others)
    return found.order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(limit)


def _with_labels(labels: Iterable[tuple[str, str]]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for key, value in labels:
        label = task_labels.alias()
        of_task = select(label.c.task_id).where(
            label.c.key == storable(key),
            label.c.value == storable(value),
            label.c.created_at == tasks.c.created_at,
            label.c.task_id == tasks.c.id,
        )
        found.append(of_task.correlate(tasks).exists())
    return found


def _named(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    named = []
    if wanted.workspace is not None:
        named.append(tasks.c.workspace == storable(wanted.workspace))
    if wanted.pool is not None:
        named += _of_runner(tasks.c.pool, wanted.pool)
    if wanted.asking is not None:
        named.append(tasks.c.asked_at.is_not(None) if wanted.asking else tasks.c.asked_at.is_(None))
    if wanted.runner is not None:
        named += _of_runner(tasks.c.runner_id, wanted.runner)
    if wanted.reason is not None:
        named.append(tasks.c.reason == storable(wanted.reason))
    if wanted.finished_after is not None:
        named.append(_bound(wanted.finished_after) < _FINISHED)
    if wanted.finished_before is not None:
        named.append(_bound(wanted.finished_before) > _FINISHED)
    return named


def _of_runner(column: ColumnElement[str], given: str) -> list[ColumnElement[bool]]:
    """`column` is the runner's id or pool `given`, which may be shortened as tables show it."""
    stored = storable(given)
    if is_shown_id(given):
        return [column >= stored, column < stored + _BEHIND_EVERY_DIGIT]
    return [column == stored]


def _bound(at: datetime) -> str:
    """`at` in the form of `_FINISHED`."""
    return rfc3339(at).removesuffix("Z").removesuffix(".000000")


def _between(columns: Any, id_name: str, wanted: TaskFilter, place: Place | None) -> list[Any]:
    bounds: list[Any] = []
    if wanted.created_after is not None:
        bounds.append(columns.created_at > rfc3339(wanted.created_after))
    if wanted.created_before is not None:
        bounds.append(columns.created_at < rfc3339(wanted.created_before))
    if place is not None:
        bounds.append(tuple_(columns.created_at, columns[id_name]) < tuple_(*map(literal, place)))
    return bounds


def lock_facts(workspace: WorkspaceId | None, task_id: TaskId | None, limit: int) -> Select[Any]:
    """The granted, refused and released sequences of the `limit` most recently changed attempts.

    Rows are ordered by their own last fact, so they contain the `limit` most recent facts.
    """
    found = select(grants.c.granted_seq, grants.c.refused_seq, grants.c.released_seq)
    if workspace is not None:
        found = found.where(grants.c.workspace == workspace)
    if task_id is not None:
        found = found.where(grants.c.task_id == task_id)
    return found.order_by(grants.c.last_seq.desc()).limit(limit)


def cursor_at(row: RowMapping) -> str:
    """The opaque cursor of the page that begins after `row`."""
    return base64.urlsafe_b64encode(orjson.dumps([row["created_at"], row["id"]])).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created_at, task_id = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return rfc3339(datetime.fromisoformat(created_at)), check_task_id(task_id)
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        raise Invalid(
            "bad-cursor",
            "`cursor` is not one of this list; start again without it, or use `next_cursor` as it is",
        ) from error


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
    del fields["asked_at"], fields["asked_until"]
    fields["next_attempt_at"] = _next_attempt(fields)
    if fields["question"] is not None:
        fields["question"] = orjson.loads(fields["question"])
    lock = LockRead.model_validate({to: fields.pop(name) for name, to in _LOCK.items()})
    return TaskRead.model_validate({**fields, "lock": lock})
