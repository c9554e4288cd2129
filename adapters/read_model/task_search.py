"""Lists and counts of tasks: index ranges in the list's order, then filters that no index serves.

A range is read from one index: that of the most selective filter, else one range for each wanted status,
merged. Without other filters it is as long as the page, so the cost does not grow with the number of tasks.
With other filters it is at most EXAMINED (for a count COUNT_EXAMINED) tasks long: a page may be short and
still name where to go on. A cursor names the last task shown or examined, so no task is skipped or repeated
when others are created or changed between two pages.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    FromClause,
    RowMapping,
    Select,
    Subquery,
    TextClause,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union,
    union_all,
)

from adapters.read_model.rows import storable
from adapters.read_model.tables import (
    END_OF_ID,
    EXIT_IS_ERROR,
    HAS_OPEN_LOCK,
    TRIED_AGAIN,
    task_labels,
    tasks,
)
from domain.errors import Invalid
from domain.identifiers import check_task_id
from domain.ports.read_model import TaskFilter
from domain.protocol import rfc3339
from domain.runners.runner_key import is_shown_id
from domain.task.transitions import Status

EXAMINED = 20_000
COUNT_EXAMINED = 200_000
"""Tasks that are looked at for the filters that no index serves."""
PART_CANDIDATES = 1_000
"""Tasks examined for each end of an id; four random characters match one task in 65,536."""
_STATUSES = tuple(status.value for status in Status)
_BEHIND_EVERY_DIGIT = "g"
_FINISHED = func.replace(tasks.c.finished_at, "Z", "")
"""Reported times have microseconds or no fraction at all; without the Z both sort as text."""
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
"""What both databases make lower-case with the collation of the columns."""
_BRIEF = {"command": "'[]'", "message": "NULL", "output_tail": "NULL"}
Place = tuple[str, str]
Range = Callable[[int], Select[Any]]


@dataclass(frozen=True, slots=True)
class TaskSearch:
    """One list: `range(n)` selects id and `created_at` of its first n candidates, `others` filters them."""

    range: Range
    others: Sequence[ColumnElement[bool]]
    oldest_first: bool

    def page(self, limit: int, *, brief: bool = False) -> Select[Any]:
        """At most `limit` rows of `tasks`; if `brief`, without their large fields."""
        page = self._found(limit, EXAMINED).subquery("page")
        shown = [
            literal_column(_BRIEF[one.name]).label(one.name) if brief and one.name in _BRIEF else one
            for one in tasks.c
        ]
        return select(*shown).join(page, tasks.c.id == page.c.id).order_by(*self._order(page.c))

    def count(self, most: int) -> Select[Any]:
        """How many of the first `most` tasks are in each status."""
        page = self._found(most, COUNT_EXAMINED).subquery("page")
        counted = select(tasks.c.status, func.count()).join(page, tasks.c.id == page.c.id)
        return counted.group_by(tasks.c.status)

    def last_examined(self, examined: int) -> Select[Any] | None:
        """The place of the last of `examined` candidates, if there are so many; None if all are looked at."""
        return self.range(examined).limit(1).offset(examined - 1) if self.others else None

    def _found(self, limit: int, examined: int) -> Select[Any]:
        if not self.others:
            return self.range(limit)
        candidates = self.range(examined).subquery("candidates")
        found = select(tasks.c.id, tasks.c.created_at).join(candidates, tasks.c.id == candidates.c.id)
        return found.where(*self.others).order_by(*self._order(tasks.c)).limit(limit)

    def _order(self, columns: Any) -> tuple[Any, Any]:
        return _order(columns.created_at, columns.id, self.oldest_first)


def search_of(wanted: TaskFilter, after: str | None = None) -> TaskSearch:
    """The search for `wanted`, behind the cursor `after`.

    Raises:
        Invalid: `after` was not made by `cursor_at` (`bad-cursor`).
    """
    place = _place(after) if after is not None else None
    if wanted.id_part is not None:
        named = _named_by_part(wanted.id_part)
        return _search(named, wanted, place, replace(wanted, id_part=None))
    for made in (_by_ids, _by_lock, _by_runner, _by_exit_code, _by_reason, _asking, _tried_again):
        found = made(wanted)
        if found is not None:
            conditions, left = found
            return _search(select(tasks.c.id, tasks.c.created_at).where(*conditions), wanted, place, left)
    if wanted.labels:
        return _labelled(wanted, place)
    return _merged(wanted, place)


Narrowed = tuple[list[ColumnElement[bool] | TextClause], TaskFilter]
"""The conditions of an index range, and the filters that are left."""


def _by_ids(wanted: TaskFilter) -> Narrowed | None:
    return ([tasks.c.id.in_(wanted.ids)], replace(wanted, ids=())) if wanted.ids else None


def _by_lock(wanted: TaskFilter) -> Narrowed | None:
    if wanted.lock is None:
        return None
    return [HAS_OPEN_LOCK, tasks.c.lock_state == wanted.lock], replace(wanted, lock=None)


def _by_runner(wanted: TaskFilter) -> Narrowed | None:
    if wanted.runner is None:
        return None
    return [*_of_runner(tasks.c.runner_id, wanted.runner)], replace(wanted, runner=None)


def _by_exit_code(wanted: TaskFilter) -> Narrowed | None:
    if not wanted.exit_code:
        return None
    return [EXIT_IS_ERROR, tasks.c.exit_code == wanted.exit_code], replace(wanted, exit_code=None)


def _by_reason(wanted: TaskFilter) -> Narrowed | None:
    if wanted.reason is None:
        return None
    return [tasks.c.reason == storable(wanted.reason)], replace(wanted, reason=None)


def _asking(wanted: TaskFilter) -> Narrowed | None:
    return ([tasks.c.asked_at.is_not(None)], replace(wanted, asking=None)) if wanted.asking else None


def _tried_again(wanted: TaskFilter) -> Narrowed | None:
    if wanted.min_attempt is None or wanted.min_attempt < 2:
        return None
    return [TRIED_AGAIN], replace(wanted, min_attempt=wanted.min_attempt if wanted.min_attempt > 2 else None)


def _search(found: Select[Any], wanted: TaskFilter, place: Place | None, left: TaskFilter) -> TaskSearch:
    """A search by one range of `tasks`."""
    bounded = found.where(*_between(tasks.c, "id", wanted, place))
    ordered = bounded.order_by(*_order(tasks.c.created_at, tasks.c.id, wanted.oldest_first))
    return TaskSearch(ordered.limit, _others(left), wanted.oldest_first)


def _labelled(wanted: TaskFilter, place: Place | None) -> TaskSearch:
    (key, value), *more = wanted.labels
    label = task_labels.c
    found = select(label.task_id.label("id"), label.created_at).where(
        label.key == storable(key), label.value == storable(value), *_between(label, "task_id", wanted, place)
    )
    ordered = found.order_by(*_order(label.created_at, label.task_id, wanted.oldest_first))
    return TaskSearch(ordered.limit, _others(replace(wanted, labels=tuple(more))), wanted.oldest_first)


def _merged(wanted: TaskFilter, place: Place | None) -> TaskSearch:
    """One range for each status, of all tasks, or those of a workspace or a pool."""
    where, left = [], replace(wanted, status=(), workspace=None)
    if wanted.workspace is not None:
        where.append(tasks.c.workspace == storable(wanted.workspace))
    elif wanted.pool is not None and not is_shown_id(wanted.pool):
        where.append(tasks.c.pool == storable(wanted.pool))
        left = replace(left, pool=None)
    where += _between(tasks.c, "id", wanted, place)

    def merged(limit: int) -> Select[Any]:
        ranges = []
        for status in wanted.status or _STATUSES:
            found = select(tasks.c.id, tasks.c.created_at).where(tasks.c.status == status, *where)
            order = _order(tasks.c.created_at, tasks.c.id, wanted.oldest_first)
            one = found.order_by(*order).limit(limit).subquery()
            ranges.append(select(one.c.id, one.c.created_at))
        every: Subquery = union_all(*ranges).subquery("merged")
        order = _order(every.c.created_at, every.c.id, wanted.oldest_first)
        return select(every.c.id, every.c.created_at).order_by(*order).limit(limit)

    return TaskSearch(merged, _others(left), wanted.oldest_first)


def _named_by_part(part: str) -> Select[Any]:
    """Tasks whose id begins or ends with `part`: two limited index ranges."""
    last_four = func.substr(tasks.c.id, literal_column(str(END_OF_ID)))
    begins = select(tasks.c.id).where(tasks.c.id >= part, tasks.c.id < part + _BEHIND_EVERY_DIGIT)
    begins = begins.order_by(tasks.c.id.desc()).limit(PART_CANDIDATES)
    alike = select(tasks.c.id).where(last_four == part[-4:]).limit(PART_CANDIDATES).subquery("alike")
    ends = select(alike.c.id).where(func.substr(alike.c.id, 37 - len(part)) == part)
    ids: FromClause = union(select(begins.subquery("begins").c.id), ends).subquery("named")
    return select(tasks.c.id, tasks.c.created_at).join(ids, tasks.c.id == ids.c.id)


def _others(left: TaskFilter) -> list[ColumnElement[bool]]:
    """The conditions for all filters of `left` but the times of creation."""
    task, found = tasks.c, list[ColumnElement[bool]]()
    equal = {
        "workspace": left.workspace,
        "reason": left.reason,
        "lock_state": left.lock,
    }
    found += [task[name] == storable(value) for name, value in equal.items() if value is not None]
    for column, runner in ((task.pool, left.pool), (task.runner_id, left.runner)):
        if runner is not None:
            found += _of_runner(column, runner)
    if left.exit_code is not None:
        found.append(task.exit_code == left.exit_code)
    if left.status:
        found.append(task.status.in_(left.status))
    if left.asking is not None:
        found.append(task.asked_at.is_not(None) if left.asking else task.asked_at.is_(None))
    if left.min_attempt is not None:
        found.append(task.attempt >= left.min_attempt)
    if left.finished_after is not None:
        found.append(_bound(left.finished_after) < _FINISHED)
    if left.finished_before is not None:
        found.append(_bound(left.finished_before) > _FINISHED)
    title = func.lower(task.title)
    found += [title.contains(storable(word).translate(_LOWER), autoescape=True) for word in left.words]
    return [*found, *_with_labels(left.labels)]


def _of_runner(column: ColumnElement[str], given: str) -> list[ColumnElement[bool]]:
    """`column` is the runner's id or pool `given`, which may be shortened as tables show it."""
    stored = storable(given)
    if is_shown_id(given):
        return [column >= stored, column < stored + _BEHIND_EVERY_DIGIT]
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


def _order(created_at: Any, task_id: Any, oldest_first: bool) -> tuple[Any, Any]:
    return (created_at, task_id) if oldest_first else (created_at.desc(), task_id.desc())


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
        here, there = tuple_(columns.created_at, columns[id_name]), tuple_(*map(literal, place))
        bounds.append(here > there if wanted.oldest_first else here < there)
    return bounds


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
