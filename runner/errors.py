"""Errors of a runner; each message says what to do."""

from __future__ import annotations


class RunnerError(Exception):
    """Base of this package's errors."""


class RunnerConfigError(RunnerError):
    """The runner cannot start as configured."""


class SubmissionRefused(RunnerError):
    """A rejected submission: `status` is the HTTP intake's response status, `kind` its problem type."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


class StateTrouble(RunnerError):
    """The state file could not be read or written. `damaged`: permanently; else the caller may retry."""

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged
