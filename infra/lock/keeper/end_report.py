"""What is reported of the command's end, what the user is told about it, and the exit code."""

from __future__ import annotations

from typing import Any

from infra.errors.exit_codes import Exit
from infra.lock.endings import SIGNALED

KILL = 9
MESSAGE_CHARS = 2000


class End:
    """The report's fields, a sentence for the user (empty: none), and the exit code."""

    def __init__(self, fields: dict[str, Any], words: str, code: int) -> None:
        self.fields, self.words, self.code = fields, words, code


def end_of(said: dict[str, Any]) -> End:
    """From the last message of guard or shim; {} if neither could send one."""
    why, number, code = said.get("why", "shim-lost"), said.get("signal"), said.get("exit_code")
    exit_code = SIGNALED + number if number else code if code is not None else SIGNALED + KILL
    fields: dict[str, Any] = {"status": "failed", "exit_code": -number if number else code}
    if why == "exit" and number:
        return End({**fields, "reason": "killed", "message": f"killed by signal {number}"}, "", exit_code)
    if why == "exit":
        outcome = {"status": "succeeded"} if code == 0 else {"reason": "exit"}
        return End({**fields, **outcome, "message": f"exited with code {code}"}, "", exit_code)
    words = _words(why, said.get("message"))
    if why == "canceled":
        outcome = {"status": "canceled"}
    else:
        outcome = {"reason": {"lease": "runner-lost", "error": "error"}.get(why, "killed")}
    if why == "lease":
        exit_code = Exit.LOCK_LOST
    elif why == "error":
        exit_code = 126
    return End({**fields, **outcome, "message": words[:MESSAGE_CHARS]}, words, exit_code)


def _words(why: str, message: str | None) -> str:
    match why:
        case "canceled":
            return "canceled by an operator; nothing of the command is left"
        case "lease":
            return (
                "the lock was lost: no heartbeat was acknowledged for the length of the lease; the command "
                "was killed"
            )
        case "stopped":
            return "`towpath lock` was killed; nothing of its command is left"
        case "error":
            return message or "the command could not be started"
        case _:
            return f"{message or 'guard and shim were killed'}; everything was killed"
