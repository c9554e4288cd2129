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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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

from adapters.read_model.tables import (
    END_OF_ID,
    EXIT_IS_ERROR,
    HAS_OPEN_LOCK,
    TRIED_AGAIN,
    task_labels,
    tasks,
)
from adapters.read_model.task_conditions import BEHIND_EVERY_DIGIT, of_runner, others_of
from adapters.read_model.writing.rows import storable
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
        return _search(_named_by_part(wanted.id_part), wanted, place, replace(wanted, id_part=None))
    if (narrowed := _narrowed(wanted)) is not None:
        conditions, left = narrowed
        return _search(select(tasks.c.id, tasks.c.created_at).where(*conditions), wanted, place, left)
    return _labelled(wanted, place) if wanted.labels else _merged(wanted, place)


def _narrowed(wanted: TaskFilter) -> tuple[list[ColumnElement[bool] | TextClause], TaskFilter] | None:
    """The conditions of the most selective index range, and the filters that are left."""
    task = tasks.c
    if wanted.ids:
        return [task.id.in_(wanted.ids)], replace(wanted, ids=())
    if wanted.lock is not None:
        return [HAS_OPEN_LOCK, task.lock_state == wanted.lock], replace(wanted, lock=None)
    if wanted.runner is not None:
        return [*of_runner(task.runner_id, wanted.runner)], replace(wanted, runner=None)
    if wanted.exit_code:
        return [EXIT_IS_ERROR, task.exit_code == wanted.exit_code], replace(wanted, exit_code=None)
    if wanted.reason is not None:
        return [task.reason == storable(wanted.reason)], replace(wanted, reason=None)
    if wanted.asking:
        return [task.asked_at.is_not(None)], replace(wanted, asking=None)
    if wanted.min_attempt is not None and wanted.min_attempt >= 2:
        more = wanted.min_attempt if wanted.min_attempt > 2 else None
        return [TRIED_AGAIN], replace(wanted, min_attempt=more)
    return None


def _search(found: Select[Any], wanted: TaskFilter, place: Place | None, left: TaskFilter) -> TaskSearch:
    """A search by one range of `tasks`."""
    bounded = found.where(*_between(tasks.c, "id", wanted, place))
    ordered = bounded.order_by(*_order(tasks.c.created_at, tasks.c.id, wanted.oldest_first))
    return TaskSearch(ordered.limit, others_of(left), wanted.oldest_first)


def _labelled(wanted: TaskFilter, place: Place | None) -> TaskSearch:
    (key, value), *more = wanted.labels
    label = task_labels.c
    found = select(label.task_id.label("id"), label.created_at).where(
        label.key == storable(key), label.value == storable(value), *_between(label, "task_id", wanted, place)
    )
    ordered = found.order_by(*_order(label.created_at, label.task_id, wanted.oldest_first))
    return TaskSearch(ordered.limit, others_of(replace(wanted, labels=tuple(more))), wanted.oldest_first)


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

    return TaskSearch(merged, others_of(left), wanted.oldest_first)


def _named_by_part(part: str) -> Select[Any]:
    """Tasks whose id begins or ends with `part`: two limited index ranges."""
    last_four = func.substr(tasks.c.id, literal_column(str(END_OF_ID)))
    begins = select(tasks.c.id).where(tasks.c.id >= part, tasks.c.id < part + BEHIND_EVERY_DIGIT)
    begins = begins.order_by(tasks.c.id.desc()).limit(PART_CANDIDATES)
    alike = select(tasks.c.id).where(last_four == part[-4:]).limit(PART_CANDIDATES).subquery("alike")
    ends = select(alike.c.id).where(func.substr(alike.c.id, 37 - len(part)) == part)
    ids: FromClause = union(select(begins.subquery("begins").c.id), ends).subquery("named")
    return select(tasks.c.id, tasks.c.created_at).join(ids, tasks.c.id == ids.c.id)


def _order(created_at: Any, task_id: Any, oldest_first: bool) -> tuple[Any, Any]:
    return (created_at, task_id) if oldest_first else (created_at.desc(), task_id.desc())


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
