"""Domain errors: each has a code, which becomes a problem type in the API.

Each error carries a stable `code` (the last part of the problem's `type`) and a sentence that tells the
reader what to do. An operation that raises one of them has recorded no event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DomainError(Exception):
    """Base of all domain errors; `code` is stable, `detail` is for people, `extra` for programs."""

    def __init__(self, code: str, detail: str, extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extra = dict(extra or {})


class Invalid(DomainError):
    """The request itself is wrong; sending it again cannot succeed (422)."""


class NotFound(DomainError):
    """The named task, workspace, runner or log position does not exist (404)."""


class Refused(DomainError):
    """The present state of the task, workspace or runner does not allow the request (409)."""


class Busy(DomainError):
    """Too many append conflicts in a row, or the log does not answer: try again later (503)."""


class LogFull(DomainError):
    """The log has no room left for new work (507)."""


_ADVICE = {
    "not-dispatched": "dispatch the task first; a runner reports only on a dispatched attempt",
    "already-dispatched": "an attempt is open; cancel it or wait for its end before dispatching again",
    "already-succeeded": "the task has succeeded; create a new task to run it again",
    "already-ended": "the task has ended; there is nothing to cancel",
    "ended": "the attempt has ended; do not start it and stop what still runs",
    "conflicting-end": "the attempt has already ended another way; the first end stands",
    "stale-attempt": "another attempt is current by now; look at the task before you go on",
    "changed": "it is no longer as you saw it: look at the task again, and decide anew",
    "unknown-attempt": "the task has no such attempt yet; report the attempt that was submitted",
    "attempt-required": "the task has had several attempts; name yours in `attempt`",
    "not-your-attempt": "another runner holds this attempt; do not start it",
    "not-granted": "the attempt has not been granted its lock; wait for its submission",
    "cancel-requested": "a cancel was requested; do not start, report `canceled`",
    "not-running": "only a running attempt asks, and only its questions are answered",
    "question-open": "one question is open at a time; wait for its answer before you ask the next one",
    "already-answered": "the first answer stands; the task goes on with it",
    "too-many-questions": "a task asks a limited number of questions; ask for several decisions at once",
    "lock-release-requested": "an operator released the lock; do not start, report `canceled`",
}


def refused(code: str, **extra: Any) -> Refused:
    """A `Refused` with the standard advice for `code`."""
    return Refused(code, _ADVICE[code], extra)
