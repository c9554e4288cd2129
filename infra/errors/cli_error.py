"""The error that ends a command: its message for people, and its exit code."""

from __future__ import annotations

import os
from typing import Any

from domain.task.transitions import Status
from infra.errors.advice import for_people
from infra.errors.exit_codes import BY_STATUS, Exit


class CliError(Exception):
    """The command cannot continue; the message says what to do. `code` is the API's problem code, if any."""

    def __init__(self, message: str, exit: Exit = Exit.ERROR, code: str = "") -> None:
        super().__init__(message)
        self.exit = exit
        self.code = code


def system_words(error: Exception) -> str:
    """`error` as text; an operating system's error without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror
    return str(error)


_NO_LOCK = ("workspace-locked", "workspace-changed", "lock-wait-timeout")


def from_problem(status: int, problem: Any) -> CliError:
    """The error for an HTTP response; `problem` is its parsed JSON body, or None."""
    body: dict[str, Any] = problem if isinstance(problem, dict) else {}
    detail = body.get("detail") or body.get("title") or f"the API answered HTTP {status}"
    lines = [for_people(detail if isinstance(detail, str) else str(detail)), *_holders(body)]
    code = str(body.get("type") or "").rpartition(":")[2]
    return CliError("\n  ".join(lines), BY_STATUS.get(status, Exit.ERROR), code)


def unknown_caller(sent_token: bool) -> CliError:
    """The error for a request whose token the API rejects, or that lacks one."""
    if not sent_token:
        return CliError("this API asks for a token: set TOWPATH_TOKEN to one of its", Exit.NOT_ALLOWED)
    where = "in TOWPATH_TOKEN" if os.environ.get("TOWPATH_TOKEN") else "of the `towpath up` on this directory"
    return CliError(
        f"the API does not know the token {where}: set TOWPATH_TOKEN to one that it knows", Exit.NOT_ALLOWED
    )


def exit_of(task: dict[str, Any]) -> Exit:
    """The exit code for a task that has ended."""
    if task["status"] == Status.SUCCEEDED:
        return Exit.OK
    return Exit.CONFLICT if task["reason"] in _NO_LOCK else Exit.TASK_FAILED


def _holders(body: dict[str, Any]) -> list[str]:
    """The holders that block the request, if the response names them, and the rejected task."""
    lines = []
    holders = body.get("holders")
    for holder in holders if isinstance(holders, list) else []:
        if not isinstance(holder, dict) or not {"task_id", "attempt"} <= holder.keys():
            continue
        how = f"holds, token {holder['token']}" if holder.get("token") is not None else "waits"
        lines.append(f"task {holder['task_id']} attempt {holder['attempt']} {how}")
    if lines and body.get("task_id"):
        lines.append(f"task {body['task_id']} is the one refused; `towpath dispatch` tries again")
    return lines
