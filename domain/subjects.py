"""Every stream and subject of Towpath: what its programs, its tools and the broker's permissions share.

A function gives the subject of one thing. Left out, a token is the wildcard, so `report()` are all reports;
`under("timer")` are all subjects that begin so, whatever their length. Nothing else spells a subject.
"""

from __future__ import annotations


class Stream:
    """The names of the JetStream streams."""

    LOG = "TOWPATH"
    SUBMIT = "TOWPATH_SUBMIT"
    REPORT = "TOWPATH_REPORT"
    DEAD = "TOWPATH_DEAD"
    TIMER = "TOWPATH_TIMER"
    RUNNER = "TOWPATH_RUNNER"
    CHECKPOINT = "TOWPATH_CHECKPOINT"


ROOT = "towpath."
APPEND = "towpath.append."
ANY = "*"
"""The wildcard for one token."""

RUNNERS_LETTERS = "towpath.dead.submit.unreadable"
"""Where runners put what they cannot read. One subject: what one may hold is all that they can take up."""


def event(kind: str = ANY, subject_id: str = ANY, name: str = ANY) -> str:
    """Stored events. `subject_id`: the task of kind `task`, else the workspace."""
    return f"towpath.{kind}.{subject_id}.{name}"


def append(kind: str = ANY, subject_id: str = ANY, name: str = ANY) -> str:
    """Where the log's stream takes an event, to store it on `event(…)`."""
    return f"towpath.append.{kind}.{subject_id}.{name}"


def submit(pool: str = ANY) -> str:
    """Attempts on their way to a runner of the pool."""
    return f"towpath.submit.{pool}"


def report(task_id: str = ANY) -> str:
    """Runners' reports on a task."""
    return f"towpath.report.{task_id}"


def runner(runner_id: str = ANY) -> str:
    """Heartbeats as runners send them."""
    return f"towpath.runner.{runner_id}"


def heartbeat(runner_id: str = ANY) -> str:
    """Heartbeats as their stream republishes them, once they are stored."""
    return f"towpath.heartbeat.{runner_id}"


def dead(kind: str, subject_id: str) -> str:
    """Dead letters; `subject_id` is one token, percent-encoded."""
    return f"towpath.dead.{kind}.{subject_id}"


def timer_at(kind: str, task_id: str = ANY, attempt: int | str = ANY) -> str:
    """The schedule of an attempt's deadline: one of it at a time."""
    return f"towpath.timer.at.{kind}.{task_id}.{attempt}"


def timer_due(kind: str, task_id: str = ANY, attempt: int | str = ANY) -> str:
    """An attempt's deadline that has come due."""
    return f"towpath.timer.due.{kind}.{task_id}.{attempt}"


def checkpoint(number: int | str = ANY) -> str:
    """Stored signed checkpoints."""
    return f"towpath.checkpoint.{number}"


def append_checkpoint(number: int | str = ANY) -> str:
    """Where their stream takes a checkpoint, to store it on `checkpoint(…)`."""
    return f"towpath.append.checkpoint.{number}"


def under(*tokens: str) -> str:
    """All subjects that begin with these tokens; without any, all of Towpath's."""
    return f"{prefix(*tokens)}>"


def prefix(*tokens: str) -> str:
    """What all these subjects begin with, the last dot included."""
    return "".join(f"{token}." for token in ("towpath", *tokens))


def wildcard(number: int) -> str:
    """In the target of a stream's transform: the `number`th wildcard of its source."""
    return f"{{{{wildcard({number})}}}}"
