"""`towpath ask` in a job, `towpath answer` and `towpath questions` for the people who are asked.

A job asks with an id that it makes itself, so that a request without a response can be repeated, and waits
by long polls: it goes on through a restart of the API.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.arguments.options import OutputFormat, OutputOption, UrlOption, duration
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.cli.client.http import Api, Json

AWAY_SECONDS = 600.0
"""So long a job that asks waits for an API that does not answer."""
POLL_SECONDS = 20.0
TOKENLESS = (
    "this command has no job token (TOWPATH_JOB_TOKEN), and the API takes no question without one: only what "
    "a runner or `towpath lock` starts gets one, from a control plane that is not older than they are"
)
_MANY = 10_000
_NEWEST = 2**63 - 1


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("ask")(ask)
    app.command("answer")(answer)
    app.command("questions")(questions)


def ask(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The question.")],
    choice: Annotated[
        list[str] | None, typer.Option("--choice", metavar="CHOICE", help="A possible answer. Repeatable.")
    ] = None,
    free_text: Annotated[bool, typer.Option("--free-text", help="Take any text as the answer.")] = False,
    expires: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="TIME", help="Wait no longer than this: 90, 10m, 2h."),
    ] = None,
    default: Annotated[
        str | None, typer.Option(metavar="ANSWER", help="The answer once that time is over.")
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Ask a person from within a task's command, and print the answer.

    Ends with 0 once it is answered, 8 if its time is over without a default, 6 if the attempt was canceled
    or has ended.
    """
    task_id = os.environ.get("TOWPATH_TASK_ID")
    if task_id is None:
        raise typer.BadParameter("`towpath ask` works in a task's command: TOWPATH_TASK_ID is not set")
    if not choice and not free_text:
        raise typer.BadParameter("give a --choice for each possible answer, or --free-text")
    if default is not None and expires is None:
        raise typer.BadParameter("--default is the answer once --expires is over: give both")
    from uuid import uuid4

    from infra.cli.client.http import connect
    from infra.cli.output.formats import emit_one, print_data

    attempt = os.environ.get("TOWPATH_ATTEMPT")
    body: Json = {
        "question_id": str(uuid4()),
        "text": text,
        "choices": choice or None,
        "free_text": free_text,
        "expires_seconds": expires,
        "default": default,
        "attempt": int(attempt) if attempt is not None and attempt.isdecimal() else None,
        "runner_id": os.environ.get("TOWPATH_RUNNER_ID"),
    }
    with connect(url, data_dir, job_token=os.environ.get("TOWPATH_JOB_TOKEN")) as api:
        found = _asked(api, task_id, {name: value for name, value in body.items() if value is not None})
    if output is OutputFormat.TABLE:
        print_data(found["answer"])
    else:
        emit_one(output, found, ())


def _asked(api: Api, task_id: str, body: Json) -> Json:
    """Ask, and wait until it is decided. CliError where there will be no answer."""
    from infra.cli.client.http import path
    from infra.cli.output.stderr import say
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit

    try:
        found = _patiently(lambda: api.post(path("runner", "tasks", task_id, "questions"), body))
    except CliError as refused:
        if refused.code == "question-open":
            raise CliError(str(refused), Exit.ERROR, refused.code) from None
        if refused.exit is Exit.NOT_ALLOWED and not os.environ.get("TOWPATH_JOB_TOKEN"):
            raise CliError(TOKENLESS, refused.exit, refused.code) from None
        raise
    say(f"waits for an answer; `towpath answer {task_id}` gives one")
    place = path("tasks", task_id, "questions", body["question_id"])
    while found["state"] == "open":
        if found["expired"] and found["default"] is None:
            raise CliError("no answer came in time", Exit.TIMED_OUT)
        found = _patiently(lambda: api.get(place, wait=POLL_SECONDS))
    if found["state"] == "closed":
        raise CliError("the attempt has ended, or was asked to stop: there is no answer", Exit.CONFLICT)
    return dict(found)


def _patiently(call: Callable[[], Any]) -> Any:
    """What `call` returns, once the API answers; it may be away for AWAY_SECONDS."""
    import time

    from domain.backoff import Backoff
    from infra.cli.client.http import Unreachable
    from infra.cli.output.stderr import say

    until = time.monotonic() + AWAY_SECONDS
    for number, pause in enumerate(Backoff(first_seconds=0.5, longest_seconds=5.0).pauses()):
        try:
            return call()
        except Unreachable as error:
            if time.monotonic() > until:
                raise
            if number == 0:
                say(f"{error}; trying again")
            time.sleep(pause)
    raise AssertionError("unreachable")


def answer(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Its id, or the beginning or end of it.")],
    choice: Annotated[str | None, typer.Argument(metavar="CHOICE", help="One of its choices.")] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Any text, if the question takes one.")
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Answer the open question of a task; without an answer, on a terminal, show it and ask for one."""
    if choice is not None and text is not None:
        raise typer.BadParameter("give a choice or --text, not both")
    from infra.cli.client.http import connect, path
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.formats import Column, emit_one
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit

    with connect(url, data_dir) as api:
        task_id = resolve(api, task)
        question = api.get(path("tasks", task_id))["question"]
        if question is None:
            raise CliError(f"task {task_id} has no open question{_answered(api, task_id)}", Exit.CONFLICT)
        body = {"text": text} if text is not None else {"choice": choice}
        if choice is None and text is None:
            body = _prompted(question)
        place = path("tasks", task_id, "questions", question["question_id"], "answer")
        found = api.post(place, body)
    emit_one(output, found, [Column("answered", lambda one: one["answer"])])


def _answered(api: Api, task_id: str) -> str:
    """What was answered last, and by whom: another person may have been faster."""
    from infra.cli.output.event_text import detail
    from infra.cli.output.stderr import plain

    newest = api.get("/events", task_id=task_id, event="answered", before_seq=_NEWEST, limit=1)["items"]
    return f"; the last one was answered: {plain(detail(newest[0]))}" if newest else ""


def _prompted(question: Json) -> dict[str, str]:
    """What the person at the terminal answers."""
    from infra.cli.output.stderr import plain, say

    offered = question["choices"] or []
    if not sys.stdin.isatty():
        how = f"one of: {', '.join(offered)}" if offered else "--text"
        raise typer.BadParameter(f"{plain(question['text'])!r} wants an answer: give {how}")
    say(plain(question["text"], keep="\n\t"))
    for number, one in enumerate(offered, start=1):
        say(f"  {number}  {plain(one)}")
    while True:
        given = typer.prompt("text" if not offered else "choice, or its number", err=True).strip()
        if given in offered:
            return {"choice": given}
        if given.isdecimal() and 1 <= int(given) <= len(offered):
            return {"choice": offered[int(given) - 1]}
        if question["free_text"]:
            return {"text": given}
        say(f"that is none of: {', '.join(map(plain, offered))}")


def questions(
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the open questions of running tasks, the oldest first; last those whose time is over."""
    from infra.cli.client.http import connect
    from infra.cli.output.durations import ago
    from infra.cli.output.formats import Column, emit
    from infra.cli.output.task_view import is_unanswered

    with connect(url, data_dir) as api:
        tasks, _ = api.items("/tasks", _MANY, asking="true")
    found = [
        {"task_id": task["id"], "title": task["title"], **task["question"]}
        for task in tasks
        if task["question"]
    ]
    found.sort(key=lambda one: (is_unanswered(one), str(one["asked_at"])))
    columns = (
        Column("TASK", lambda one: one["task_id"], task=True),
        Column("ASKED", lambda one: ago(one["asked_at"])),
        Column("UNTIL", _until, optional=True),
        Column("TITLE", lambda one: one["title"], wide=True),
        Column("QUESTION", lambda one: " ".join(one["text"].split()), wide=True),
        Column("ANSWERS", _offered, wide=True),
    )
    emit(output, found, columns)


def _until(question: Json) -> str:
    from infra.cli.output.durations import ago, clock_time
    from infra.cli.output.task_view import is_unanswered

    if question["expires_at"] is None:
        return ""
    return (
        f"over, {ago(question['expires_at'])}"
        if is_unanswered(question)
        else clock_time(question["expires_at"])[:-4]
    )


def _offered(question: Json) -> str:
    return " / ".join([*(question["choices"] or []), *(["any text"] if question["free_text"] else [])])
