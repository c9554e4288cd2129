"""The transition table: which event may follow which status. Decides every command and report.

A cell defines what an input does to a task in a status: it records an event, it is stale (the attempt has
already come this far: answered, not recorded), or it is refused with a stable code. The diagram in the
documentation is generated from this table, and a test walks every cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The statuses of a task; the last four are terminal."""

    CREATED = "created"
    DISPATCHED = "dispatched"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SUBMIT_FAILED = "submit-failed"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.SUBMIT_FAILED})


class Input(StrEnum):
    """The inputs of a task: operators' commands, runners' reports, the control plane's findings."""

    DISPATCH = "dispatch"
    CANCEL = "cancel"
    RELEASE = "release"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SUBMIT_FAILED = "submit-failed"
    STOP_RETRIES = "stop-retries"
    ASK = "ask"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Record:
    """The input is recorded as this event."""

    event: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The input is answered with the task as it is; no event is recorded."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The input is answered with a conflict of this code; no event is recorded."""

    code: str


Cell = Record | Stale | Refuse

_STALE = Stale()
_NOT_YET = Refuse("not-dispatched")
_NOT_RUNNING = Refuse("not-running")
_OPEN = Refuse("already-dispatched")
_ENDED = Refuse("ended")
_OTHER_END = Refuse("conflicting-end")


def _record(event: str) -> Record:
    return Record(event)


def _ended(same: Input, *, again: Cell) -> Mapping[Input, Cell]:
    """The row of a terminal status: a repeat of the same end is stale, another end is a conflict."""
    ends = (Input.SUCCEEDED, Input.FAILED, Input.CANCELED, Input.SUBMIT_FAILED)
    row: dict[Input, Cell] = {end: _STALE if end is same else _OTHER_END for end in ends}
    row[Input.DISPATCH] = again
    row[Input.CANCEL] = _STALE if same is Input.CANCELED else Refuse("already-ended")
    row[Input.RELEASE] = _STALE
    row[Input.QUEUED] = _STALE
    row[Input.RUNNING] = _ENDED
    tried_again = same in (Input.FAILED, Input.SUBMIT_FAILED)
    row[Input.STOP_RETRIES] = _record("cancel-requested") if tried_again else _STALE
    row[Input.ASK] = row[Input.ANSWER] = _ENDED
    return row


TABLE: Mapping[Status, Mapping[Input, Cell]] = {
    Status.CREATED: {
        Input.DISPATCH: _record("dispatched"),
        Input.CANCEL: _record("canceled"),
        Input.RELEASE: _STALE,
        Input.QUEUED: _NOT_YET,
        Input.RUNNING: _NOT_YET,
        Input.SUCCEEDED: _NOT_YET,
        Input.FAILED: _NOT_YET,
        Input.CANCELED: _NOT_YET,
        Input.SUBMIT_FAILED: _NOT_YET,
        Input.STOP_RETRIES: _STALE,
        Input.ASK: _NOT_YET,
        Input.ANSWER: _NOT_YET,
    },
    Status.DISPATCHED: {
        Input.DISPATCH: _OPEN,
        Input.CANCEL: _record("canceled"),
        Input.RELEASE: _record("canceled"),
        Input.QUEUED: _record("queued"),
        Input.RUNNING: _record("running"),
        Input.SUCCEEDED: _record("succeeded"),
        Input.FAILED: _record("failed"),
        Input.CANCELED: _record("canceled"),
        Input.SUBMIT_FAILED: _record("submit-failed"),
        Input.STOP_RETRIES: _STALE,
        Input.ASK: _NOT_RUNNING,
        Input.ANSWER: _NOT_RUNNING,
    },
    Status.QUEUED: {
        Input.DISPATCH: _OPEN,
        Input.CANCEL: _record("cancel-requested"),
        Input.RELEASE: _record("lock-release-requested"),
        Input.QUEUED: _STALE,
        Input.RUNNING: _record("running"),
        Input.SUCCEEDED: _record("succeeded"),
        Input.FAILED: _record("failed"),
        Input.CANCELED: _record("canceled"),
        Input.SUBMIT_FAILED: _STALE,
        Input.STOP_RETRIES: _STALE,
        Input.ASK: _NOT_RUNNING,
        Input.ANSWER: _NOT_RUNNING,
    },
    Status.RUNNING: {
        Input.DISPATCH: _OPEN,
        Input.CANCEL: _record("cancel-requested"),
        Input.RELEASE: _record("lock-release-requested"),
        Input.QUEUED: _STALE,
        Input.RUNNING: _STALE,
        Input.SUCCEEDED: _record("succeeded"),
        Input.FAILED: _record("failed"),
        Input.CANCELED: _record("canceled"),
        Input.SUBMIT_FAILED: _STALE,
        Input.STOP_RETRIES: _STALE,
        Input.ASK: _record("asked"),
        Input.ANSWER: _record("answered"),
    },
    Status.SUCCEEDED: _ended(Input.SUCCEEDED, again=Refuse("already-succeeded")),
    Status.FAILED: _ended(Input.FAILED, again=_record("dispatched")),
    Status.CANCELED: _ended(Input.CANCELED, again=_record("dispatched")),
    Status.SUBMIT_FAILED: _ended(Input.SUBMIT_FAILED, again=_record("dispatched")),
}


def look_up(status: Status, given: Input) -> Cell:
    """The cell for an input to a task in `status`."""
    return TABLE[status][given]
