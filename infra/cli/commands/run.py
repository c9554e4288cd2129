"""`towpath run`: creates a task, shows its progress on stderr and exits with its exit code.

The client makes the id, so that a request without a response can be repeated without a second task.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from infra.cli.arguments.options import (
    OutputFormat,
    OutputOption,
    UrlOption,
    duration,
    labels,
    pairs,
    retry_reasons,
    secrets,
)
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from infra.cli.client.following.live_output import Attempts
    from infra.cli.client.http import Api
    from infra.cli.output.bytes import OutputWriter

TRIES = 3
_CONTEXT = {"allow_interspersed_args": False}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run", context_settings=_CONTEXT)(run)


def run(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="CMD", help="Program and arguments; no shell.")],
    workspace: Annotated[str | None, typer.Option("-w", "--workspace", help="Lock and work in it.")] = None,
    lock_path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="PATH", help="Lock only this path of the workspace. Repeatable."),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Share the lock with other shared claims.")
    ] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="Fail if it is locked instead of waiting.")
    ] = False,
    lock_wait: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="TIME", help="Cancel it if its lock takes longer: 90, 10m."),
    ] = None,
    pool: Annotated[str | None, typer.Option(help="Pool of runners.")] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="For the command. Repeatable.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE]",
            help="Like --env, and masked in output; NAME alone takes it from here. Repeatable.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="TIME", help="Kill it after this time: 90, 10m, 2h."),
    ] = None,
    timeout_pauses: Annotated[
        bool, typer.Option("--timeout-pauses", help="Stop that time while a question of it is open.")
    ] = False,
    retry: Annotated[
        int | None,
        typer.Option(metavar="ATTEMPTS", min=2, max=100, help="Try again, up to so many attempts in all."),
    ] = None,
    retry_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REASON",
            help="Only after these: no-runner, unreachable, runner-lost, deadline, or exit, which is not one "
            "of the default. Repeatable.",
        ),
    ] = None,
    retry_backoff: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="TIME", help="First pause; doubles each time. Default: 10."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Shown in lists; default: the command.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="To find it by. Repeatable.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for its end.")] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="On Ctrl-C, SIGTERM and SIGHUP leave it alone."),
    ] = False,
    no_dispatch: Annotated[bool, typer.Option("--no-dispatch", help="Create it only.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Run a command as a task and wait for its end.

    Ends with 0 if it succeeded, 3 if it failed or was canceled, 6 if it did not get its lock. With --retry,
    the last attempt decides.
    Ctrl-C, SIGTERM and SIGHUP cancel it, unless --keep is given.
    """
    if (lock_path or shared or reject or lock_wait is not None) and workspace is None:
        raise typer.BadParameter(
            "--path, --shared, --reject and --lock-wait are about a lock: name its --workspace"
        )
    if reject and lock_wait is not None:
        raise typer.BadParameter("--reject does not wait: leave it or --lock-wait out")
    if timeout_pauses and timeout is None:
        raise typer.BadParameter("--timeout-pauses is about a timeout: give --timeout TIME")
    if retry is None and (retry_on or retry_backoff is not None):
        raise typer.BadParameter("--retry-on and --retry-backoff are about retries: give --retry ATTEMPTS")
    _warn_of_options_behind(context, command)
    variables = pairs(env or (), "--env")
    body: dict[str, Any] = {
        "command": command,
        "workspace": workspace,
        "lock_paths": lock_path,
        "lock_mode": "shared" if shared else None,
        "on_conflict": "reject" if reject else None,
        "lock_wait_seconds": lock_wait,
        "pool": pool,
        "env": variables,
        "secrets": secrets(secret or (), variables),
        "timeout_seconds": timeout,
        "timeout_pauses": timeout_pauses or None,
        "retry": _retry(retry, retry_on, retry_backoff),
        "title": title,
        "labels": labels(label or (), "--label"),
    }
    from infra.cli.client.http import connect

    with connect(url, data_dir) as api:
        given = {name: value for name, value in body.items() if value not in (None, [], {})}
        _run(api, given, output, detach=detach, dispatch=not no_dispatch, keep=keep)


def _retry(attempts: int | None, on: list[str] | None, backoff: float | None) -> dict[str, Any] | None:
    if attempts is None:
        return None
    found = {"max_attempts": attempts, "on": on and retry_reasons(on), "backoff_seconds": backoff}
    return {name: value for name, value in found.items() if value is not None}


def _warn_of_options_behind(context: typer.Context, command: list[str]) -> None:
    """Warn if an option of `run` follows the command without `--`: the command gets it."""
    from infra.cli.output.stderr import say

    if sys.argv[-len(command) - 1 : -len(command)] == ["--"]:
        return
    ours = {"-w", *(name for one in context.command.params for name in one.opts if name.startswith("--"))}
    for word in command[1:]:
        if word.partition("=")[0] in ours - {"--help"}:
            say(
                f"note: {word} stands behind the command and goes to it: options of `towpath run` stand "
                f"before it; a -- before {command[0]} says that this is meant"
            )


def _run(
    api: Api, body: dict[str, Any], output: OutputFormat, *, detach: bool, dispatch: bool, keep: bool
) -> None:
    from infra.cli.client.following.interruption import interrupting
    from infra.lock.ids import uuid7

    body = {"id": uuid7(), **body}
    stays = dispatch and not detach
    with interrupting():
        try:
            task = _create(api, body, dispatch)
        except KeyboardInterrupt:
            if stays and not keep:
                from infra.cli.client.following.follow import withdraw

                withdraw(api, body["id"])
            raise
        if not stays:
            _show_created(task, output)
            return
        _stay(api, task, output, keep=keep)


def _stay(api: Api, task: dict[str, Any], output: OutputFormat, *, keep: bool) -> NoReturn:
    """Show what happens until the task has ended, and exit as it ended."""
    from infra.cli.client.following.follow import Left, stay
    from infra.cli.client.following.live_output import Attempts
    from infra.cli.output.bytes import OutputWriter
    from infra.cli.output.formats import emit_one
    from infra.cli.output.stderr import say
    from infra.errors.cli_error import exit_of
    from infra.errors.exit_codes import Exit

    writer = OutputWriter(raw=True)
    say(f"task {task['id']}")
    outputs = Attempts(api, task["id"], writer.write) if output is OutputFormat.TABLE else None
    try:
        task = stay(api, task, partial(_show_event, outputs, writer), keep=keep)
        if outputs is not None:
            outputs.ended(task["attempt"], task["output_tail"])
    except Left as left:
        say(f"task {task['id']} {left}; `towpath wait {task['id']}` comes back to it")
        raise typer.Exit(Exit.INTERRUPTED) from None
    writer.end()
    if output is not OutputFormat.TABLE:
        emit_one(output, task, ())
    raise typer.Exit(exit_of(task))


def _create(api: Api, body: dict[str, Any], dispatch: bool) -> dict[str, Any]:
    from infra.cli.client.http import Unanswered

    for tries_left in reversed(range(TRIES)):
        try:
            task: dict[str, Any] = api.post("/tasks", body, dispatch="true" if dispatch else None)
            return task
        except Unanswered:
            if not tries_left:
                raise
    raise AssertionError("unreachable")


def _show_created(task: dict[str, Any], output: OutputFormat) -> None:
    from infra.cli.output.formats import emit_one, print_data

    if output is OutputFormat.TABLE:
        print_data(task["id"])
    else:
        emit_one(output, task, ())


def _show_event(outputs: Attempts | None, writer: OutputWriter, event: dict[str, Any]) -> None:
    """Show an event on a line of its own; the output of an attempt stands between its start and its end."""
    from domain.task.transitions import TERMINAL
    from infra.cli.output.event_text import SHOWN_BY_RUN
    from infra.cli.output.formats import say_row

    if outputs is not None and event["event"] in TERMINAL:
        outputs.ended(event["attempt"] or 0, event["data"].get("output_tail"))
    writer.end()
    say_row(event, SHOWN_BY_RUN)
    if outputs is not None and event["event"] == "running":
        outputs.started(event["attempt"])
