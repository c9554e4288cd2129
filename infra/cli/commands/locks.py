"""`towpath lock`, `locks` and `release`: a lock around a command, who holds and waits, releasing by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.arguments.options import OutputFormat, OutputOption, TaskArgument, UrlOption
from infra.cli.arguments.positions import AtOption
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from infra.cli.client.http import Api
    from infra.cli.output.formats import Column

_CONTEXT = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
_MANY = 10_000


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("lock", context_settings=_CONTEXT)(lock)
    app.command("locks")(locks)
    app.command("release")(release)


def lock(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTIONS] [--] CMD", help="`towpath lock --help` explains."),
    ] = None,
) -> None:
    """Run a command in this terminal while holding a lock of a workspace."""
    from infra.lock.command import main  # `infra.entry` runs it without this module

    main(arguments or [])


def locks(
    workspace: Annotated[str | None, typer.Argument(metavar="WORKSPACE", help="Only this one.")] = None,
    at: AtOption = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show who holds a lock and who waits, in order.

    If no server uses the data directory, they are read from a copy of its log, which is not changed.
    """
    from infra.cli.client.http import Unreachable, connect, workspace_path
    from infra.cli.output.formats import emit

    try:
        with connect(url, data_dir) as api:
            if workspace is None:
                entries, _ = api.items("/locks", _MANY, at=at)
            else:
                entries = [api.get(workspace_path(workspace, "locks"), at=at)]
            rows = _titled(api, _claims(entries)) if output is OutputFormat.TABLE else entries
    except Unreachable:
        found = None if url else _offline(workspace, at, data_dir)
        if found is None:
            raise
        rows = _claims(found) if output is OutputFormat.TABLE else found
    emit(output, rows, _columns(past=at is not None))


def release(
    id: TaskArgument,
    reason: Annotated[str, typer.Option(help="Why; recorded in the log.")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Release a task's lock by hand, before the task has ended.

    A runner is also asked to stop the task; until then its process may still write.
    """
    from infra.cli.client.http import connect, path
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.formats import Column, emit_one
    from infra.cli.output.stderr import say

    with connect(url, data_dir) as api:
        answer = api.post(path("tasks", resolve(api, id), "locks", "release"), {"reason": reason})
    paths = Column("released", _released)
    running = Column("process may run", lambda row: "yes" if row["process_may_run"] else "no")
    emit_one(output, answer, (Column("task", lambda row: row["task_id"]), paths, running))
    if answer["process_may_run"]:
        say("its process may still be writing: look at its runner before you rely on the files")


def _titled(api: Api, claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from infra.cli.client.tasks.titles import Titles

    titles = Titles(api)
    titles.look_up(claim["task_id"] for claim in claims)
    return titles.beside(claims)


def _offline(workspace: str | None, at: str | None, data_dir: Path | None) -> list[dict[str, Any]] | None:
    """The locks in the log of a server that is down; None if there is no such log."""
    from domain.errors import NotFound
    from infra.cli.arguments.server_options import installation_settings, nats_failures, readable_log
    from infra.cli.output.stderr import say
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit
    from infra.maintenance.offline import is_down
    from infra.maintenance.offline_locks import run_locks

    try:
        settings = installation_settings(on_copy=True, data_dir=data_dir, quiet=True)
    except CliError:
        return None
    if not is_down(settings):
        return None
    try:
        with readable_log(settings) as copy, nats_failures():
            found = run_locks(copy, workspace, at)
    except NotFound as error:
        raise CliError(error.detail, Exit.NOT_FOUND) from None
    if found.fault is not None:
        say(f"{found.fault}; run `towpath verify`")
    return found.entries


def _released(answer: dict[str, Any]) -> str:
    from domain.workspaces.paths import listed

    paths = answer["released_paths"]
    return "whole workspace" if paths == ["."] else listed(paths) or "nothing"


def _claims(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per claim, holders first."""
    return [
        {"workspace": entry["workspace"], **claim}
        for entry in entries
        for claim in (*entry["holders"], *entry["waiters"])
    ]


def _state(claim: dict[str, Any]) -> str:
    return f"held {claim['token']}" if "token" in claim else f"waiting {claim['position']}"


def _detail(claim: dict[str, Any]) -> str:
    from infra.cli.output.event_text import short, short_runner

    if "token" in claim:
        return f"on {short_runner(claim['runner_id'])}" if claim["runner_id"] else ""
    first, *others = claim["blocked_by"]
    if len(others) > 1 and short(first) != first:  # a long queue, on a terminal
        return f"behind {short(first)} and {len(others)} more"
    return "behind " + " ".join(short(task_id) for task_id in claim["blocked_by"])


def _columns(*, past: bool) -> tuple[Column, ...]:
    from infra.cli.output.durations import ago, clock_time
    from infra.cli.output.event_text import scope
    from infra.cli.output.formats import Column

    shown = clock_time if past else ago
    return (
        Column("WORKSPACE", lambda claim: claim["workspace"], wide=True),
        Column("STATE", _state, colored=True),
        Column("TASK", lambda claim: claim["task_id"], task=True),
        Column("TITLE", lambda claim: claim.get("title") or "", wide=True, optional=True),
        Column("PATHS", lambda claim: scope(claim["paths"], claim["mode"]), wide=True),
        Column("SINCE", lambda claim: shown(claim["since"])),
        Column("DETAIL", _detail, wide=True),
    )
