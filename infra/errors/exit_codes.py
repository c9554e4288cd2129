"""Exit codes of `towpath`, by HTTP status where the API refuses. Scripts rely on them: they never change."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of `towpath`."""

    OK = 0
    ERROR = 1
    USAGE = 2
    TASK_FAILED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    TIMED_OUT = 8
    LOCK_LOST = 9
    INTERRUPTED = 130


BY_STATUS = {
    400: Exit.USAGE,
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
    408: Exit.TIMED_OUT,
    409: Exit.CONFLICT,
    422: Exit.USAGE,
    504: Exit.TIMED_OUT,
}
