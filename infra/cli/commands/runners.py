"""`towpath runners`: runners and their last heartbeats; `forget` removes a lost one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.arguments.group import Group
from infra.cli.arguments.options import OutputFormat, OutputOption, UrlOption
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from infra.cli.client.http import Api

_MANY = 10_000


app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List runners; forget lost ones.",
)


@app.callback()
def runners(
    context: typer.Context,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List runners; forget lost ones."""
    if context.invoked_subcommand is not None:
        return
    from infra.cli.client.http import connect
    from infra.cli.output.durations import ago
    from infra.cli.output.event_text import short_runner
    from infra.cli.output.formats import Column, emit
    from infra.cli.output.stderr import say

    with connect(url, data_dir) as api:
        found, _ = api.items("/runners", _MANY)
    columns = (
        Column("ID", lambda one: short_runner(one["id"]), wide=True),
        Column("STATE", lambda one: one["state"], colored=True),
        Column("POOLS", _pools, wide=True),
        Column("HOST", lambda one: one["host"], wide=True),
        Column("HOLDS", _holds, right=True),
        Column("AT ONCE", lambda one: str(one["capacity"]), right=True),
        Column("HEARTBEAT", lambda one: ago(one["last_heartbeat"])),
    )
    emit(output, found, columns)
    _say_conflicts(found)
    kept = [held["task_id"] for one in found for held in one["awaiting_operator"]]
    if kept:
        say(
            f"attempts of lost runners that keep their lock for an operator: {len(kept)}. See that nothing "
            "of them runs any more, then free each with `towpath release`:"
        )
        for task_id in kept:
            say(f"  {task_id}")


@app.command("forget")
def forget(
    id: Annotated[str, typer.Argument(metavar="ID", help="A lost runner, as `towpath runners` shows it.")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Forget a lost runner that comes back no more. One that is stopped in order leaves by itself."""
    from infra.cli.client.http import connect, path
    from infra.cli.output.formats import Column, emit_one

    with connect(url, data_dir) as api:
        id = _whole(api, id)
        api.delete(path("runners", id))
    emit_one(output, {"id": id, "forgotten": True}, [Column("forgotten", lambda row: row["id"])])


def _say_conflicts(found: list[dict[str, Any]]) -> None:
    from infra.cli.output.stderr import say

    for one in found:
        if one["conflict"]:
            hosts = ", ".join(f"{other['host']} ({other['instance']})" for other in one["conflict"])
            say(
                f"conflict: several runners have the id {one['id']}: {hosts}. Give each an id "
                "(TOWPATH_RUNNER_ID) and a state directory of its own."
            )


def _pools(runner: dict[str, Any]) -> str:
    """Pools that the runner serves. That of `towpath lock` is its id, which a terminal shows once."""
    from infra.cli.output.event_text import short_runner

    shown = {pool: short_runner(pool) for pool in runner["pools"]}
    return " ".join("itself" if pool == runner["id"] != short else short for pool, short in shown.items())


def _whole(api: Api, given: str) -> str:
    """The whole id of a runner that is shortened as tables show it."""
    from domain.runners.runner_key import is_shown_id
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit

    if not is_shown_id(given):
        return given
    known, _ = api.items("/runners", _MANY)
    found = [str(one["id"]) for one in known if one["id"].startswith(given)]
    if len(found) > 1:
        raise CliError("several runners begin so; give the whole id:\n  " + "\n  ".join(found), Exit.USAGE)
    return found[0] if found else given


def _holds(runner: dict[str, Any]) -> str:
    """Attempts that the runner reports, waiting ones included; a lost runner holds none."""
    return "-" if runner["state"] == "lost" else str(len(runner["running_attempts"]))
