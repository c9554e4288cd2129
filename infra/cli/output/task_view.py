"""Tasks as tables: one line per task in lists, a sheet for one task."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime

from domain.validation.durations import duration
from infra.cli.arguments.options import OutputFormat
from infra.cli.output.durations import ago, clock_time, parse
from infra.cli.output.event_text import scope, short
from infra.cli.output.formats import Column, Json, console, emit_one, print_data
from infra.cli.output.stderr import plain


def status_of(task: Json) -> str:
    """The status, with details."""
    if task["cancel_requested"] and task["finished_at"] is None:
        return f"{task['status']} (canceling)"
    if task.get("question"):
        return f"{task['status']} ({'unanswered' if is_unanswered(task['question']) else 'asks'})"
    if task.get("next_attempt_at"):
        return f"{task['status']} ({next_attempt(task)})"
    if task["lock"]["state"] == "waiting":
        return f"{task['status']} (waits)"
    return str(task["status"])


def is_unanswered(question: Json) -> bool:
    """Whether the time of an open question is over and it has no default: its job may have gone on."""
    expires_at = question["expires_at"]
    return question["default"] is None and expires_at is not None and parse(expires_at) <= datetime.now(UTC)


def next_attempt(task: Json) -> str:
    """Which attempt begins next by itself, and when."""
    return (
        f"attempt {task['attempt'] + 1} of {task['retry']['max_attempts']} at "
        + clock_time(task["next_attempt_at"]).partition(".")[0]
    )


def _attempt(task: Json) -> str:
    """The number of the attempt, and of how many."""
    most = f" of {task['retry']['max_attempts']}" if task.get("retry") else ""
    return f"{task['attempt']}{most}" if task["attempt"] else ""


def _retry(task: Json) -> str:
    policy = task.get("retry")
    if not policy:
        return ""
    return f"after {', '.join(policy['on'])}; first pause {duration(policy['backoff_seconds'])}"


def reason_of(task: Json) -> str:
    """Why the task did not succeed: the reason and the exit code."""
    if task["status"] == "succeeded":
        return ""
    reason = task["reason"] if task["reason"] != "exit" else None
    code = None if task["exit_code"] is None else f"exit code {task['exit_code']}"
    return ", ".join(part for part in (reason, code) if part)


def lock_of(task: Json) -> str:
    """The lock of the current attempt in words."""
    lock = task["lock"]
    if lock["state"] == "none":
        return ""
    if lock["state"] == "waiting":
        behind = " ".join(short(blocker) for blocker in lock["blocked_by"])
        wait = task.get("lock_wait_seconds")
        at_most = f", at most {duration(wait)} since its dispatch" if wait else ""
        return f"waiting, position {lock['position']}" + (f", behind {behind}" if behind else "") + at_most
    return str(lock["state"]) + (f", token {lock['token']}" if lock["token"] is not None else "")


def _claim(task: Json) -> str:
    if task["workspace"] is None:
        return ""
    return f"{task['workspace']}: {scope(task['lock_paths'], task['lock_mode'])}"


def _question(task: Json) -> str:
    question = task.get("question")
    if not question:
        return ""
    late = f"no answer came until {clock_time(question['expires_at'])}; " if is_unanswered(question) else ""
    return f"{' '.join(question['text'].split())}; {late}`towpath answer` answers it"


def _runner(task: Json) -> str:
    """The runner of the attempt, and whether its heartbeats have stopped."""
    state = task.get("runner_state")
    return (task["runner_id"] or "") + (f" ({state})" if state in ("suspected", "lost") else "")


def took(task: Json) -> str:
    """How long the process ran, by its runner's clock."""
    if not (task["started_at"] and task["finished_at"]):
        return ""
    length = (parse(task["finished_at"]) - parse(task["started_at"])).total_seconds()
    return f"{length:.1f} s" if length >= 0 else "clock of the runner: finished before it started"


def _timeout(task: Json) -> str:
    seconds, pauses = task["timeout_seconds"], task.get("timeout_pauses")
    return "" if seconds is None else f"{seconds}{', pauses while it asks' if pauses else ''}"


def _text(name: str) -> Column:
    title = name.replace("_", " ").removesuffix(" at").removesuffix(" id")
    return Column(title, lambda task: "" if task[name] is None else str(task[name]))


def _time(name: str, shown: Callable[[str], str]) -> Column:
    return Column(name, lambda task: shown(task[f"{name}_at"]) if task[f"{name}_at"] else "")


def _times(*, past: bool) -> list[Column]:
    """The time of each step; for a task in the past as absolute times, not relative to now."""
    shown = clock_time if past else ago
    return [_time(name, shown) for name in ("created", "dispatched", "queued", "started", "finished")]


LIST = (
    Column("ID", lambda task: task["id"], task=True),
    Column("STATUS", status_of, colored=True),
    Column("REASON", reason_of, wide=True, optional=True),
    Column("WORKSPACE", lambda task: task["workspace"] or "–", wide=True),
    Column("CREATED", lambda task: ago(task["created_at"])),
    Column("TITLE", lambda task: task["title"], wide=True),
)
_SHEET = (
    _text("id"),
    _text("title"),
    Column("status", status_of, colored=True),
    Column("attempt", _attempt),
    Column("retries", _retry),
    _text("reason"),
    _text("message"),
    _text("exit_code"),
    Column("command", lambda task: shlex.join(task["command"])),
    Column("claim", _claim),
    Column("lock", lock_of),
    Column("asks", _question),
    _text("pool"),
    Column("runner", _runner),
    Column("labels", lambda task: " ".join(f"{name}={value}" for name, value in task["labels"].items())),
    Column("timeout_seconds", _timeout),
)


def show_task(output: OutputFormat, task: Json, *, past: bool = False) -> None:
    """Print one task with the tail of its output; `past`: its state at an earlier position."""
    emit_one(output, task, (*_SHEET, *_times(past=past), Column("took", took)))
    if output is OutputFormat.TABLE and task["output_tail"]:
        console().print("\noutput", style="bold")
        print_data(plain(task["output_tail"], keep="\n\t").rstrip("\n"))
