"""The end of the command: its report, the message for the user, and the exit code."""

from __future__ import annotations

from infra.errors.exit_codes import Exit
from infra.lock.endings import SIGNALED
from runner.process.tree.refusals import WENT_ON

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

KILL = 9
MESSAGE_CHARS = 2000


class End:
    """The report's fields, a sentence for the user (empty: none), and the exit code."""

    def __init__(self, fields: dict[str, Any], words: str, code: int) -> None:
        self.fields, self.words, self.code = fields, words, code


def end_of(said: dict[str, Any], refused: str = "") -> End:
    """From the last message of guard or shim; {} if neither could send one.

    `refused`: which process of the command could not be signaled.
    """
    end = _end_of(said, "the rest" if refused else "everything")
    if refused:
        note = f"; {refused}: {WENT_ON}"
        end.fields["message"] = f"{end.fields['message'][: MESSAGE_CHARS - len(note)]}{note}"
        end.words = end.words and f"{end.words}{note}"
    return end


def _end_of(said: dict[str, Any], killed: str) -> End:
    why, number, code = said.get("why", "shim-lost"), said.get("signal"), said.get("exit_code")
    exit_code = SIGNALED + number if number else code if code is not None else SIGNALED + KILL
    fields: dict[str, Any] = {"status": "failed", "exit_code": -number if number else code}
    if why == "exit" and number:
        return End({**fields, "reason": "killed", "message": f"killed by signal {number}"}, "", exit_code)
    if why == "exit":
        outcome = {"status": "succeeded"} if code == 0 else {"reason": "exit"}
        return End({**fields, **outcome, "message": f"exited with code {code}"}, "", exit_code)
    words = _words(why, said.get("message"), killed)
    if why == "canceled":
        outcome = {"status": "canceled"}
    else:
        outcome = {"reason": {"lease": "runner-lost", "error": "error"}.get(why, "killed")}
    if why == "lease":
        exit_code = Exit.LOCK_LOST
    elif why == "error":
        exit_code = 126
    return End({**fields, **outcome, "message": words[:MESSAGE_CHARS]}, words, exit_code)


def _words(why: str, message: str | None, killed: str) -> str:
    """`killed`: what of the command was."""
    match why:
        case "canceled":
            return "canceled by an operator; nothing of the command is left"
        case "lease":
            return "the lock was lost: no heartbeat was acknowledged for the length of the lease; " + (
                "the command was killed" if killed == "everything" else f"{killed} was killed"
            )
        case "stopped":
            return "`towpath lock` was killed; nothing of its command is left"
        case "error":
            return message or "the command could not be started"
        case _:
            return f"{message or 'guard and shim were killed'}; {killed} was killed"
