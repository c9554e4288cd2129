"""The error that ends `towpath lock` before its command has run: an exit code, and a sentence on stderr."""

from __future__ import annotations

from infra.errors.exit_codes import BY_STATUS, Exit
from infra.lock.connection import Problem

SIGNALED = 128
BUSY = (408, 429, 502, 503, 504, 507)
"""Statuses after which the same may be tried again."""


class Ending(Exception):
    """Ends the command with `code`, after saying why."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


def of_problem(problem: Problem) -> Ending:
    """The ending after an answer of the control plane. Imports what makes its text one for people."""
    from infra.errors.cli_error import from_problem, unknown_caller

    if problem.status == 401:
        return Ending(Exit.NOT_ALLOWED, str(unknown_caller(True)))
    return Ending(BY_STATUS.get(problem.status, Exit.ERROR), str(from_problem(problem.status, problem.body)))


def of_silence(url: str, why: object) -> Ending:
    """The ending where nothing answers."""
    return Ending(
        Exit.ERROR,
        f"nothing answers at {url} ({why}): start one with `towpath up`, or say where it is with --url or "
        "TOWPATH_URL",
    )
