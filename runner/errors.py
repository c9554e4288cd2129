"""Errors of a runner; each message says what to do."""

from __future__ import annotations


class RunnerError(Exception):
    """Base of this package's errors."""


class RunnerConfigError(RunnerError):
    """The runner cannot start as configured."""


class SubmissionRefused(RunnerError):
    """A submission not taken. `status` is what the HTTP intake answers, `kind` its problem type."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


class StateTrouble(RunnerError):
    """The state file did not take or give something. `damaged`: it never will; else try again later."""

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged
