"""Cancels or dispatches many tasks: select, ask, act, one line for each.

The tasks and their attempts are fixed before the question: a task that is created later is not touched, and
one whose attempt is another by then is refused with `changed`.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any, Literal

import typer

from infra.cli.arguments.options import OutputFormat
from infra.cli.client.answers import list_of
from infra.cli.client.http import Api, Json
from infra.cli.output.event_text import short
from infra.cli.output.formats import Column, emit_line
from infra.cli.output.stderr import plain, say
from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit
from infra.plural import counted

AT_ONCE = 100
"""Items in one request, as many as the API takes."""
_SAMPLES = 5
_OPEN = ("created", "dispatched", "queued", "running")
_FAILED = ("failed", "submit-failed")
_DOES = {"cancel": ("cancels", _OPEN), "dispatch": ("dispatches", _FAILED)}
"""What a command does, and to tasks of which statuses if none was given."""
_COLUMNS = (
    Column("TASK", lambda item: item["id"], task=True),
    Column("OUTCOME", lambda item: item["outcome"], colored=True, width=9),
    Column("TITLE", lambda item: item["title"], wide=True),
    Column("DETAIL", lambda item: f"{item['code']}: {item['detail']}" if item["code"] else "", wide=True),
)


def act_on_many(
    api: Api,
    verb: Literal["cancel", "dispatch"],
    wanted: dict[str, Any],
    reason: str | None,
    output: OutputFormat,
    *,
    yes: bool,
) -> Exit:
    """Do it; returns the exit code: a conflict if some were refused.

    Raises:
        CliError: too many, no terminal to ask on, or no answer; the message says how far it came.
    """
    does, statuses = _DOES[verb]
    wanted = {**wanted, "status": wanted["status"] or list(statuses)}
    counted_first = api.get("/tasks/count", **wanted)
    if counted_first["capped"]:
        raise CliError(f"more than {counted_first['count']} tasks: select fewer at a time", Exit.USAGE)
    found = [task for page in api.pages("/tasks", **wanted) for task in page]
    if not found:
        say("no task is selected; nothing done")
        return Exit.OK
    if not yes:
        _ask(does, found)
    return _act(api, verb, found, reason, output)


def _ask(does: str, found: list[Json]) -> None:
    """Say what will happen, and go on only if the person at the terminal agrees."""
    statuses = Counter(str(task["status"]) for task in found)
    shown = ", ".join(f"{number} {status}" for status, number in statuses.most_common())
    say(f"{does} {counted(len(found), 'task')}: {shown}")
    for task in found[:_SAMPLES]:
        say(f"  {short(task['id'])}  {task['status']}  {plain(task['title'])}")
    if len(found) > _SAMPLES:
        say(f"  … and {len(found) - _SAMPLES} more")
    if not sys.stdin.isatty():
        raise CliError("nothing done: without a terminal, --yes says that you mean it", Exit.USAGE)
    if not typer.confirm("go on?", err=True):
        raise CliError("nothing done")


def _act(api: Api, verb: str, found: list[Json], reason: str | None, output: OutputFormat) -> Exit:
    outcomes: Counter[str] = Counter()
    for start in range(0, len(found), AT_ONCE):
        chunk = found[start : start + AT_ONCE]
        items = [{"id": task["id"], "attempt": task["attempt"]} for task in chunk]
        body: Json = {"action": verb, "items": items}
        if reason is not None:
            body["reason"] = reason
        try:
            results = list_of(api.post("/tasks/bulk", body), "items")
            for task, result in zip(chunk, results, strict=True):
                outcomes[str(result["outcome"])] += 1
                emit_line(output, {**result, "title": task["title"]}, _COLUMNS)
        except KeyboardInterrupt:
            say(_how_far("interrupted", start, found, outcomes))
            raise
        except CliError as error:
            raise CliError(_how_far(str(error), start, found, outcomes), error.exit, error.code) from None
    say(_summary(outcomes))
    return Exit.CONFLICT if outcomes["refused"] else Exit.OK


def _how_far(why: str, start: int, found: list[Json], outcomes: Counter[str]) -> str:
    next_ones = min(AT_ONCE, len(found) - start)
    return (
        f"{why}\n{start} of {counted(len(found), 'task')} are done ({_summary(outcomes)}); of the next "
        f"{next_ones} some may be, too. The same command goes on with the rest"
    )


def _summary(outcomes: Counter[str]) -> str:
    return ", ".join(f"{outcomes[name]} {name}" for name in ("recorded", "unchanged", "refused"))
