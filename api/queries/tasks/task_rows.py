"""Rows of lists of tasks: what a table shows, and the place of those that wait for a lock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import create_model

from api.dependencies import ApiParts
from api.queries.paging import Page
from domain.task.view import TaskRead

LEFT_OUT = {"command", "message", "output_tail"}
"""The large fields that no table shows."""
_ROW: dict[str, Any] = {
    name: (one.annotation, one) for name, one in TaskRead.model_fields.items() if name not in LEFT_OUT
}
TaskRow: Any = create_model("TaskRow", __doc__="A task as a row of a list.", **_ROW)
TaskRows: Any = Page.__class_getitem__(TaskRow)


def show_waiting(parts: ApiParts, reads: Iterable[TaskRead]) -> None:
    """Set the place and blockers of locks that tasks wait for, which the read model does not keep."""
    for read in reads:
        if read.lock.state == "waiting":
            read.lock = parts.view.waiting(read.id, read.attempt) or read.lock
