"""`towpath workspaces`: list, `add` and `remove` registrations."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.arguments.group import Group
from infra.cli.arguments.options import OutputFormat, OutputOption, UrlOption
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from infra.cli.output.formats import Column

_MANY = 10_000

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List workspaces; add and remove them.",
)


class OnRunnerLost(StrEnum):
    """What happens to an attempt, and so to its lock, when its runner is lost."""

    FAIL = "fail"
    HOLD = "hold"


@app.callback()
def list_all(
    context: typer.Context,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List workspaces; add and remove them."""
    if context.invoked_subcommand is not None:
        return
    from infra.cli.client.http import connect
    from infra.cli.output.formats import emit

    with connect(url, data_dir) as api:
        found, _ = api.items("/workspaces", _MANY)
    emit(output, found, _columns())
    for one in found:
        _say_void(one)


@app.command("add")
def add(
    id: Annotated[str, typer.Argument(metavar="ID", help="1 to 64 of A-Z a-z 0-9 _ -")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Its directory on the runners' hosts.")],
    on_runner_lost: Annotated[
        OnRunnerLost, typer.Option(help="fail: end the attempt; hold: keep the lock for an operator.")
    ] = OnRunnerLost.FAIL,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Register a workspace, or change it."""
    from infra.cli.client.http import connect, workspace_path
    from infra.cli.client.sendable import check_sendable
    from infra.cli.output.formats import emit_one

    body = {"root": _real(root), "on_runner_lost": on_runner_lost.value}
    path = workspace_path(id)
    check_sendable(body, "")
    with connect(url, data_dir) as api:
        before = next((one for one in api.items("/workspaces", _MANY)[0] if one["id"] == id), None)
        answer = api.put(path, body)
    emit_one(output, answer, _columns())
    _say_changed(before, answer)
    if not Path(body["root"]).is_dir():
        from infra.cli.output.stderr import say

        say(f"note: there is no directory {body['root']} on this host; its tasks start where a runner has it")


@app.command("remove")
def remove(
    id: Annotated[str, typer.Argument(metavar="ID", help="The workspace.")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Remove a workspace without open claims; its directory is not changed."""
    from infra.cli.client.http import connect, workspace_path
    from infra.cli.output.formats import Column, emit_one

    with connect(url, data_dir) as api:
        api.delete(workspace_path(id))
    emit_one(output, {"id": id, "removed": True}, [Column("removed", lambda row: row["id"])])


def _real(root: Path) -> str:
    """A directory's canonical name: links are resolved if it exists on this host, else `..` in its text."""
    named, real = os.path.normpath(root.absolute()), root.resolve()
    if named == str(real) or not real.is_dir():
        return named
    from infra.cli.output.stderr import say

    say(f"{named} is {real}: that is registered, as a runner works under real paths only")
    return str(real)


def _say_changed(before: dict[str, Any] | None, now: dict[str, Any]) -> None:
    """Name what the command changed of a workspace that was registered before."""
    from infra.cli.output.stderr import say

    if before is None:
        return
    for name in ("root", "on_runner_lost"):
        if before[name] != now[name]:
            say(f"changed {name.replace('_', ' ')}: was {before[name]}, is {now[name]}")


def _say_void(workspace: dict[str, Any]) -> None:
    """Warn if the newest registration event has no effect."""
    from infra.cli.output.stderr import say

    void = workspace.get("void")
    if void is not None:
        what = "removal" if void["root"] is None else f"registration at {void['root']}"
        say(f"{workspace['id']}: its newest {what} (event {void['seq']}) is void: {void['reason']}")


def _columns() -> tuple[Column, ...]:
    from infra.cli.output.formats import Column

    return (
        Column("ID", lambda one: one["id"], wide=True),
        Column("ROOT", lambda one: one["root"], wide=True),
        Column("ON RUNNER LOST", lambda one: one["on_runner_lost"]),
    )
