"""`towpath tasks`, `task`, `dispatch`, `cancel` and `wait`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from infra.cli.arguments.options import (
    OutputFormat,
    OutputOption,
    TaskArgument,
    UrlOption,
    duration,
)
from infra.cli.arguments.positions import AtOption, SinceOption
from infra.cli.arguments.selection import (
    BeforeOption,
    ExitCodeOption,
    FinishedSinceOption,
    LabelOption,
    LockOption,
    MinAttemptOption,
    PoolOption,
    ReasonOption,
    RunnerOption,
    SearchOption,
    Selection,
    StatusOption,
    WorkspaceOption,
)
from infra.cli.arguments.server_options import DataDirOption

ManyArgument = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="A task's id, or its beginning or end.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before acting on several.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("tasks")(tasks)
    app.command("task")(task)
    app.command("why")(why)
    app.command("dispatch")(dispatch)
    app.command("cancel")(cancel)
    app.command("wait")(wait)


def tasks(
    status: StatusOption = None,
    workspace: WorkspaceOption = None,
    pool: PoolOption = None,
    label: LabelOption = None,
    runner: RunnerOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    finished_since: FinishedSinceOption = None,
    search: SearchOption = None,
    lock: LockOption = None,
    exit_code: ExitCodeOption = None,
    min_attempt: MinAttemptOption = None,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first, not the newest.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Show at most this many.")] = 50,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List tasks, newest first."""
    selected = Selection(
        status, workspace, pool, label, runner, reason, since, finished_since, before, search, lock,
        exit_code, min_attempt,
    )  # fmt: skip
    wanted = {**selected.params(), "order": "oldest" if oldest else None}
    from infra.cli.client.http import connect
    from infra.cli.output.formats import emit
    from infra.cli.output.stderr import say
    from infra.cli.output.task_view import LIST

    with connect(url, data_dir) as api:
        found, more = api.items("/tasks", limit, **wanted)
    emit(output, found, LIST)
    if more:
        more_are = "newer" if oldest else "older"
        say(
            f"there are {more_are} ones than {'this' if limit == 1 else f'these {limit}'}; --limit shows more"
        )


def task(
    id: TaskArgument,
    at: AtOption = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a task and the tail of its output."""
    from infra.cli.client.http import connect, path
    from infra.cli.client.tasks.task_ids import resolve
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
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.formats import emit_one, print_data
    from infra.cli.output.stderr import folded, plain

    with connect(url, data_dir) as api:
        found = api.get(path("tasks", resolve(api, id), "why"))
    if output is OutputFormat.TABLE:
        print_data(folded(plain(found["sentence"]), sys.stdout))
    else:
        emit_one(output, found, ())


def dispatch(
    id: ManyArgument = None,
    status: StatusOption = None,
    workspace: WorkspaceOption = None,
    pool: PoolOption = None,
    label: LabelOption = None,
    runner: RunnerOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    finished_since: FinishedSinceOption = None,
    search: SearchOption = None,
    lock: LockOption = None,
    exit_code: ExitCodeOption = None,
    min_attempt: MinAttemptOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Start the next attempt of a task, or of all that the options select.

    A task has none yet if it was only created; it gets another if it did not succeed. Several are
    counted, and you are asked first; without --status, those that failed or reached no runner are meant.
    """
    selected = Selection(
        status, workspace, pool, label, runner, reason, since, finished_since, before, search, lock,
        exit_code, min_attempt,
    )  # fmt: skip
    _command("dispatch", id, selected, yes, None, url, data_dir, output)


def cancel(
    id: ManyArgument = None,
    status: StatusOption = None,
    workspace: WorkspaceOption = None,
    pool: PoolOption = None,
    label: LabelOption = None,
    runner: RunnerOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    search: SearchOption = None,
    lock: LockOption = None,
    min_attempt: MinAttemptOption = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; recorded in the log.")
    ] = None,
    yes: YesOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Cancel a task, or all that the options select. A running one is canceled once its runner reports that.

    One that waits for a retry gets none: its last attempt keeps its end.

    Without --status, all that have not ended are meant. Several are counted, and you are asked first.
    """
    selected = Selection(
        status, workspace, pool, label, runner, None, since, None, before, search, lock, None, min_attempt
    )
    _command("cancel", id, selected, yes, reason, url, data_dir, output)


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
    from infra.cli.client.following.follow import wait_until_ended
    from infra.cli.client.http import connect
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.task_view import show_task
    from infra.errors.cli_error import exit_of

    with connect(url, data_dir) as api:
        found = wait_until_ended(api, resolve(api, id), timeout)
    show_task(output, found)
    raise typer.Exit(exit_of(found))


def _command(
    verb: Literal["cancel", "dispatch"],
    id: str | None,
    selected: Selection,
    yes: bool,
    why: str | None,
    url: str | None,
    data_dir: Path | None,
    output: OutputFormat,
) -> None:
    if (id is None) is not selected.given:
        raise typer.BadParameter("give a task's id, or options that select tasks, such as --status")
    from infra.cli.client.http import connect, path
    from infra.cli.client.tasks.bulk import act_on_many
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.formats import emit, emit_one
    from infra.cli.output.task_view import LIST

    with connect(url, data_dir) as api:
        if id is None:
            raise typer.Exit(act_on_many(api, verb, selected.params(), why, output, yes=yes))
        body = {"reason": why} if why is not None else None
        answer: dict[str, Any] = api.post(path("tasks", resolve(api, id), verb), body)
    if output is OutputFormat.TABLE:
        emit(output, [answer], LIST)
    else:
        emit_one(output, answer, LIST)
