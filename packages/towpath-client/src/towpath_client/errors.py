"""The errors of this package: `TowpathError`, and `Problem` for what the API answers (`problems`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TowpathError(Exception):
    """Base of all errors of this package."""


class BadConfiguration(TowpathError):
    """The URL or the environment cannot be used; no request was sent."""


class Unreachable(TowpathError):
    """No connection to the API: the request was not sent."""


class Unanswered(TowpathError):
    """The connection broke, or no answer came in time: the request may or may not have had its effect."""


class NotTowpath(TowpathError):
    """The answer is not one of a Towpath API that this package understands."""


class TimedOut(TowpathError):
    """The time given for the call is over. What was waited for goes on."""


class NoOpenQuestion(TowpathError):
    """The task asks nothing at present."""


class QuestionExpired(TowpathError):
    """The question's time is over, and it has no default."""


class QuestionClosed(TowpathError):
    """The attempt that asked has ended, or was asked to stop: no answer will come."""


class TaskFailed(TowpathError):
    """A task has ended other than `succeeded`; `str()` has the status, the reason and the message."""


class LockNotGranted(TowpathError):
    """The lock was not granted in time, was refused, or its claim was canceled."""


class LockLost(TowpathError):
    """The lock is no longer valid: stop what needs it."""


class Problem(TowpathError):
    """An error that the API answered. `code` is stable, `detail` is for people, `extra` has more members."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        extra: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.detail = detail
        self.extra = dict(extra or {})
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.detail} ({self.code})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.status, self.detail, self.extra, self.retry_after)
