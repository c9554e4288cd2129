"""Log context: the task, attempt and event that log lines and appends of the current work belong to.

Every log line says it. It is kept as one small value in the context and read only when a line is written, so
that it costs next to nothing where a task's every report passes and nothing is logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class About(NamedTuple):
    """`sequence` is that of the event in the log."""

    task: str
    attempt: int | None = None
    sequence: int | None = None


_current: ContextVar[About | None] = ContextVar("about", default=None)


def current_about() -> About | None:
    """What the work at hand is about, if it is about a task."""
    return _current.get()


def be_about(task: str | None, attempt: int | None = None, sequence: int | None = None) -> None:
    """From now on the work in this context is about this task; None: about none."""
    _current.set(About(task, attempt or None, sequence) if task is not None else None)


def be_about_task(task: str) -> None:
    """The same where attempt and event are not known; what is known of this task stays."""
    now = _current.get()
    if now is None or now.task != task:
        _current.set(About(task))


@contextmanager
def about(task: str | None, attempt: int | None = None, sequence: int | None = None) -> Iterator[None]:
    """What happens within is about this task."""
    token = _current.set(About(task, attempt, sequence) if task is not None else None)
    try:
        yield
    finally:
        _current.reset(token)
