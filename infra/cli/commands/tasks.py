"""`towpath tasks`, `task`, `dispatch`, `cancel` and `wait`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.cli.arguments.options import (
    OutputFormat,
    OutputOption,
    TaskArgument,
    UrlOption,
    duration,
    labels,
    status_name,
)
from infra.cli.arguments.positions import AtOption, SinceOption
from infra.cli.arguments.server_options import DataDirOption


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("tasks")(tasks)
    app.command("task")(task)
    app.command("why")(why)
    app.command("dispatch")(dispatch)
    app.command("cancel")(cancel)
    app.command("wait")(wait)


def tasks(
    status: Annotated[
        list[str] | None, typer.Option("-s", "--status", metavar="STATUS", help="Only these. Repeatable.")
    ] = None,
    workspace: Annotated[str | None, typer.Option("-w", "--workspace", help="Only this one.")] = None,
    pool: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    label: Annotated[str | None, typer.Option(metavar="NAME=VALUE", help="Only with this one.")] = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Show at most this many.")] = 50,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List tasks, newest first."""
    wanted = [f"{name}:{value}" for name, value in labels([label] if label else [], "--label").items()]
    status = [status_name(one) for one in status or ()]
    from infra.cli.client.http import connect
    from infra.cli.output.formats import emit
    from infra.cli.output.stderr import say
    from infra.cli.output.task_view import LIST

    with connect(url, data_dir) as api:
        found, more = api.items(
            "/tasks",
            limit,
            status=status,
            workspace=workspace,
            pool=pool,
            label=wanted,
            created_after=since.isoformat() if since else None,
        )
    emit(output, found, LIST)
    if more:
        say(f"there are older ones than {'this' if limit == 1 else f'these {limit}'}; --limit shows more")


def task(
    id: TaskArgument,
    at: AtOption = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a task and the tail of its output."""
    from infra.cli.client.http import connect, path
    from infra.cli.client.task_ids import resolve
    from infra.cli.output.task_view import show_task

    with connect(url, data_dir) as api:
        found = api.get(path("tasks", resolve(api, id)), at=at)
    show_task(output, found, past=at is not None)


def why(
    id: TaskArgument,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say what a task waits for, or what ended it."""
    from infra.cli.client.http import connect, path
    from infra.cli.client.task_ids import resolve
    from infra.cli.output.formats import emit_one, print_data
    from infra.cli.output.stderr import folded, plain

    with connect(url, data_dir) as api:
        found = api.get(path("tasks", resolve(api, id), "why"))
    if output is OutputFormat.TABLE:
        print_data(folded(plain(found["sentence"]), sys.stdout))
    else:
        emit_one(output, found, ())


def dispatch(
    id: TaskArgument,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Start a task's next attempt.

    A task has none yet if it was only created; it gets another if it did not succeed.
    """
    _command("dispatch", id, url, data_dir, output)


def cancel(
    id: TaskArgument,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Cancel a task. A running one is canceled once its runner reports that.

    One that waits for a retry gets none: its last attempt keeps its end.
    """
    _command("cancel", id, url, data_dir, output)


def wait(
    id: TaskArgument,
    timeout: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="TIME", help="Wait at most this long: 90, 10m, 2h."),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Wait until a task has ended, and no retry follows.

    Ends with 0 if it succeeded, 3 if not, 6 if it did not get its lock, 8 if it has not ended in time.
    """
    from infra.cli.client.follow import wait_until_ended
    from infra.cli.client.http import connect
    from infra.cli.client.task_ids import resolve
    from infra.cli.exit_codes import exit_of
    from infra.cli.output.task_view import show_task

    with connect(url, data_dir) as api:
        found = wait_until_ended(api, resolve(api, id), timeout)
    show_task(output, found)
    raise typer.Exit(exit_of(found))


def _command(verb: str, id: str, url: str | None, data_dir: Path | None, output: OutputFormat) -> None:
    from infra.cli.client.http import connect, path
    from infra.cli.client.task_ids import resolve
    from infra.cli.output.formats import emit, emit_one
    from infra.cli.output.task_view import LIST

    with connect(url, data_dir) as api:
        answer: dict[str, Any] = api.post(path("tasks", resolve(api, id), verb))
    if output is OutputFormat.TABLE:
        emit(output, [answer], LIST)
    else:
        emit_one(output, answer, LIST)
