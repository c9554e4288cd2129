"""How `towpath lock` ends when its command has not: exit codes, those of every command, and a sentence."""

from __future__ import annotations

from infra.lock.http import Problem

ERROR, USAGE, NOT_ALLOWED, NOT_FOUND, CONFLICT, TIMED_OUT, LOCK_LOST = 1, 2, 4, 5, 6, 8, 9
_BY_STATUS = {400: USAGE, 401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_FOUND, 409: CONFLICT, 422: USAGE}
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
    from infra.cli.exit_codes import from_problem, unknown_caller

    if problem.status == 401:
        return Ending(NOT_ALLOWED, str(unknown_caller(True)))
    return Ending(_BY_STATUS.get(problem.status, ERROR), str(from_problem(problem.status, problem.body)))


def of_silence(url: str, why: object) -> Ending:
    """The ending where nothing answers."""
    return Ending(
        ERROR,
        f"nothing answers at {url} ({why}): start one with `towpath up`, or say where it is with --url or "
        "TOWPATH_URL",
    )
