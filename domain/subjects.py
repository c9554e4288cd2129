"""Every stream and subject of Towpath, shared by its programs, its tools and the broker's permissions.

Each function returns the subject of one kind of message. A token left out is the wildcard: `report()` matches
all reports; `under("timer")` matches every subject below `towpath.timer.`. No other module spells a subject.
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
    AUDIT = "TOWPATH_AUDIT"


ROOT = "towpath."
APPEND = "towpath.append."
ANY = "*"
"""The wildcard for one token."""

RUNNERS_LETTERS = "towpath.dead.submit.unreadable"
"""Where runners put submissions they cannot read. It is one subject, so one limit bounds them all."""


def event(kind: str = ANY, subject_id: str = ANY, name: str = ANY) -> str:
    """Stored events. `subject_id`: the task of kind `task`, else the workspace."""
    return f"towpath.{kind}.{subject_id}.{name}"


def append(kind: str = ANY, subject_id: str = ANY, name: str = ANY) -> str:
    """Where an event is published; the log's stream stores it on `event(…)`."""
    return f"towpath.append.{kind}.{subject_id}.{name}"


def submit(pool: str = ANY) -> str:
    """Submissions of attempts to runners of the pool."""
    return f"towpath.submit.{pool}"


def report(task_id: str = ANY) -> str:
    """Runners' reports on a task."""
    return f"towpath.report.{task_id}"


def runner(runner_id: str = ANY) -> str:
    """Heartbeats as runners send them."""
    return f"towpath.runner.{runner_id}"


def heartbeat(runner_id: str = ANY) -> str:
    """Heartbeats that the stream republishes after storing them."""
    return f"towpath.heartbeat.{runner_id}"


def output(runner_id: str = ANY) -> str:
    """Requests of the control plane for a range of output that this runner keeps."""
    return f"towpath.output.{runner_id}"


def dead(kind: str, subject_id: str) -> str:
    """Dead letters; `subject_id` is one token, percent-encoded."""
    return f"towpath.dead.{kind}.{subject_id}"


def timer_at(kind: str, task_id: str = ANY, attempt: int | str = ANY) -> str:
    """The schedule of an attempt's deadline; a later one replaces it."""
    return f"towpath.timer.at.{kind}.{task_id}.{attempt}"


def timer_due(kind: str, task_id: str = ANY, attempt: int | str = ANY) -> str:
    """An attempt's deadline that has come due."""
    return f"towpath.timer.due.{kind}.{task_id}.{attempt}"


def checkpoint(number: int | str = ANY) -> str:
    """Stored signed checkpoints."""
    return f"towpath.checkpoint.{number}"


def append_checkpoint(number: int | str = ANY) -> str:
    """Where a checkpoint is published; its stream stores it on `checkpoint(…)`."""
    return f"towpath.append.checkpoint.{number}"


def audit(kind: str = ANY) -> str:
    """Audit records: verifications of the log, and what became of dead letters."""
    return f"towpath.audit.{kind}"


def under(*tokens: str) -> str:
    """The wildcard for all subjects that begin with these tokens; without tokens, all of Towpath's."""
    return f"{prefix(*tokens)}>"


def prefix(*tokens: str) -> str:
    """The common prefix of these subjects, with the final dot."""
    return "".join(f"{token}." for token in ("towpath", *tokens))


def wildcard(number: int) -> str:
    """The `number`th wildcard of the source, as the target of a stream's subject transform refers to it."""
    return f"{{{{wildcard({number})}}}}"
