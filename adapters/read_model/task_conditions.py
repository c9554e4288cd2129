"""Conditions for the filters of tasks that no index range serves.

Texts are compared as both databases store them, so a filter finds the same in either.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase

from sqlalchemy import ColumnElement, func, select

from adapters.read_model.tables import task_labels, tasks
from adapters.read_model.writing.rows import storable
from domain.ports.read_model import TaskFilter
from domain.protocol import rfc3339
from domain.runners.runner_key import is_shown_id

BEHIND_EVERY_DIGIT = "g"
_FINISHED = func.replace(tasks.c.finished_at, "Z", "")
"""Reported times have microseconds or no fraction at all; without the Z both sort as text."""
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
"""What both databases make lower-case with the collation of the columns."""


def others_of(left: TaskFilter) -> list[ColumnElement[bool]]:
    """The conditions for all filters of `left` but the times of creation."""
    task, found = tasks.c, list[ColumnElement[bool]]()
    equal = ((task.workspace, left.workspace), (task.reason, left.reason), (task.lock_state, left.lock))
    found += [column == storable(value) for column, value in equal if value is not None]
    for column, runner in ((task.pool, left.pool), (task.runner_id, left.runner)):
        if runner is not None:
            found += of_runner(column, runner)
    if left.exit_code is not None:
        found.append(task.exit_code == left.exit_code)
    if left.status:
        found.append(task.status.in_(left.status))
    if left.asking is not None:
        found.append(task.asked_at.is_not(None) if left.asking else task.asked_at.is_(None))
    if left.on_request is not None:
        found.append(task.ended_on_request == left.on_request)
    if left.min_attempt is not None:
        found.append(task.attempt >= left.min_attempt)
    if left.finished_after is not None:
        found.append(_bound(left.finished_after) < _FINISHED)
    if left.finished_before is not None:
        found.append(_bound(left.finished_before) > _FINISHED)
    title = func.lower(task.title)
    found += [title.contains(storable(word).translate(_LOWER), autoescape=True) for word in left.words]
    return [*found, *_with_labels(left.labels)]


def of_runner(column: ColumnElement[str], given: str) -> list[ColumnElement[bool]]:
    """`column` is the runner's id or pool `given`, which may be shortened as tables show it."""
    stored = storable(given)
    if is_shown_id(given):
        return [column >= stored, column < stored + BEHIND_EVERY_DIGIT]
    return [column == stored]


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


def _bound(at: datetime) -> str:
    """`at` in the form of `_FINISHED`."""
    return rfc3339(at).removesuffix("Z").removesuffix(".000000")
