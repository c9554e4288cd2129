"""Maps how a job ended to the report about it. One pure table."""

from __future__ import annotations

import signal as signals
from datetime import datetime
from typing import Any, Literal

from domain.identifiers import RunnerId
from domain.protocol import MESSAGE_CHARS, OUTPUT_TAIL_BYTES, FailedReason, Report
from runner.process.job_process import JobEnd
from runner.process.tree.refusals import WENT_ON

MOST_CUT_CHARS = 60
Final = Literal["succeeded", "failed", "canceled"]


def final_report(
    ended: JobEnd,
    *,
    attempt: int,
    runner_id: RunnerId,
    timeout: float | None,
    started_at: datetime,
    tail: str | None,
    output_bytes: int = 0,
    timeout_pauses: bool = False,
) -> Report | None:
    """The terminal report, or None if the log already has the attempt's end."""
    if ended.why == "forgotten":
        return None
    status, reason, message, code = _judge(ended, timeout)
    if reason == "timeout" and timeout_pauses:
        message += ", without the time of its open questions"
    if ended.refused is not None:
        message += f"; {ended.refused}: {WENT_ON}"
    message = message[: MESSAGE_CHARS - MOST_CUT_CHARS] + _cut(output_bytes)
    return Report(
        status=status,
        attempt=attempt,
        runner_id=runner_id,
        reason=reason,
        message=message[:MESSAGE_CHARS],
        exit_code=code,
        started_at=started_at,
        finished_at=ended.finished_at,
        output_tail=tail,
    )


def unstarted_report(
    status: Final,
    *,
    attempt: int,
    runner_id: RunnerId,
    at: datetime,
    message: str,
    reason: FailedReason | None = None,
) -> Report:
    """The terminal report of an attempt without a process, or with one of unknown fate."""
    fields: dict[str, Any] = {"attempt": attempt, "runner_id": runner_id, "finished_at": at, "reason": reason}
    return Report(status=status, message=message[:MESSAGE_CHARS], **fields)


def _cut(output_bytes: int) -> str:
    """Which part of the output the report holds, if not all; the rest stays on the host."""
    if output_bytes <= OUTPUT_TAIL_BYTES:
        return ""
    size = (
        f"{output_bytes / 1024:.0f} KiB" if output_bytes < 1 << 20 else f"{output_bytes / (1 << 20):.1f} MiB"
    )
    return f"; output: last {OUTPUT_TAIL_BYTES // 1024} KiB of {size}"


def _judge(ended: JobEnd, timeout: float | None) -> tuple[Final, FailedReason | None, str, int | None]:
    code = -ended.signal if ended.signal else ended.exit_code
    killed = "everything was killed" if ended.refused is None else "all else was killed"
    match ended.why:
        case "exit" if code == 0:
            return "succeeded", None, "exited with code 0", 0
        case "exit" if ended.signal:
            return "failed", "killed", f"killed by {_signal_name(ended.signal)}", code
        case "exit":
            return "failed", "exit", f"exited with code {code}", code
        case "timeout":
            return "failed", "timeout", f"did not end within {timeout:g} s", code
        case "canceled":
            return "canceled", None, "canceled; nothing of it is left", code
        case "lease":
            return "failed", "runner-lost", f"the runner's lease ran out; {killed}", code
        case "stopped":
            return "failed", "runner-lost", "its runner was stopped in order", code
        case "runner-gone":
            return "failed", "runner-lost", f"the runner was gone; {killed}", code
        case "shim-lost":
            return "failed", "killed", f"{ended.message}; {killed}", code
        case _:
            return "failed", "error", ended.message or "could not be run", code


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
