"""Log context: the task, attempt and event that log lines and appends of the current work belong to.

Every log line shows it. It is one small value in a context variable, read only when a line is written, so
that it costs almost nothing on the path of every report.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class About(NamedTuple):
    """The subject of the current work. `sequence` is that of the event in the log."""

    task: str
    attempt: int | None = None
    sequence: int | None = None


_current: ContextVar[About | None] = ContextVar("about", default=None)


def current_about() -> About | None:
    """The task that the current work is about; None if it is about none."""
    return _current.get()


def be_about(task: str | None, attempt: int | None = None, sequence: int | None = None) -> None:
    """Set the task of the current context; None: no task."""
    _current.set(About(task, attempt or None, sequence) if task is not None else None)


def be_about_task(task: str) -> None:
    """Set the task only; attempt and sequence stay if they are already set for this task."""
    now = _current.get()
    if now is None or now.task != task:
        _current.set(About(task))


@contextmanager
def about(task: str | None, attempt: int | None = None, sequence: int | None = None) -> Iterator[None]:
    """Set the task for the block."""
    token = _current.set(About(task, attempt, sequence) if task is not None else None)
    try:
        yield
    finally:
        _current.reset(token)
