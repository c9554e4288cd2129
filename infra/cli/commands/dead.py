"""`towpath dead`: messages that could not be applied; `show`, `replay`, `drop` them; who did (`settled`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.arguments.group import Group
from infra.cli.arguments.options import OutputFormat, OutputOption, UrlOption
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from infra.cli.client.http import Api
    from infra.cli.output.formats import Column

_MANY = 100_000

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List dead letters; show, replay, drop them.",
)
KindOption = Annotated[str | None, typer.Option(help="Only of this kind, such as report.")]
SeqArgument = Annotated[int, typer.Argument(metavar="SEQ", min=1, help="Its number in the list.")]


@app.callback()
def list_all(
    context: typer.Context,
    kind: KindOption = None,
    limit: Annotated[int, typer.Option(min=1, max=_MANY, help="Show at most this many.")] = 100,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List dead letters with their reasons, oldest first; show, replay and drop them."""
    if context.invoked_subcommand is not None:
        return
    from infra.cli.client.http import connect
    from infra.cli.output.formats import emit
    from infra.cli.output.stderr import say

    with connect(url, data_dir) as api:
        found, more = api.items("/dead", limit, kind=kind)
        dropped = api.get("/dead", kind=kind, limit=1).get("dropped", [])
    emit(output, found, _columns())
    for one in dropped:
        say(
            f"{one['count']} more of kind {one['kind']}, reason {one['reason']}, were dropped since the API "
            "was started: too many are alike, and the newest are kept"
        )
    if more:
        say(f"there are more than these {limit}; see --limit")


@app.command("show")
def show(
    seq: SeqArgument,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a dead letter with its body; secrets are hidden."""
    from infra.cli.client.http import connect, path
    from infra.cli.output.formats import Column, emit_one, json_line

    with connect(url, data_dir) as api:
        found = api.get(path("dead", str(seq)))

    def body(row: dict[str, Any]) -> str:
        return "not shown: it is no JSON" if row["body"] is None else json_line(row["body"])

    whole = [Column(one.title, one.cell) for one in _columns()]
    emit_one(output, found, (*whole, Column("source", lambda row: row["source"] or ""), Column("body", body)))


@app.command("replay")
def replay(
    seqs: Annotated[list[int] | None, typer.Argument(metavar="SEQ…", min=1, help="Their numbers.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them, oldest first.")] = False,
    kind: KindOption = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Process dead letters again. Rejected ones stay, and the command ends with 6."""
    if bool(seqs) == all_:
        raise typer.BadParameter("give numbers, or --all", param_hint="SEQ…")
    if kind is not None and not all_:
        raise typer.BadParameter("goes with --all", param_hint="--kind")
    from infra.cli.client.http import connect
    from infra.cli.output.formats import Column, emit
    from infra.errors.exit_codes import Exit

    with connect(url, data_dir) as api:
        chosen = seqs or [one["seq"] for one in api.items("/dead", _MANY, kind=kind)[0]]
        rows = [_replay(api, seq) for seq in chosen]
    columns = (
        Column("SEQ", lambda row: str(row["seq"]), right=True),
        Column("OUTCOME", lambda row: row["outcome"], colored=True),
        Column("DETAIL", lambda row: row["detail"], wide=True),
    )
    emit(output, rows, columns)
    if any(row["outcome"] == "refused" for row in rows):
        raise typer.Exit(Exit.CONFLICT)


def _replay(api: Api, seq: int) -> dict[str, Any]:
    """Replay one dead letter; returns its outcome. A rejection does not stop the command."""
    from infra.cli.client.http import path
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit

    try:
        answer = api.post(path("dead", str(seq), "replay"))
    except CliError as error:
        if error.exit not in (Exit.CONFLICT, Exit.NOT_FOUND, Exit.USAGE):
            raise
        return {"seq": seq, "outcome": "refused", "detail": str(error)}
    detail = f"{answer['kind']} of {answer['subject']}, kept for {answer['reason']}"
    return {"seq": seq, "outcome": answer["outcome"], "detail": detail}


@app.command("drop")
def drop(
    seqs: Annotated[list[int], typer.Argument(metavar="SEQ…", min=1, help="Their numbers.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with your name.")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Remove dead letters for good."""
    from infra.cli.client.http import connect, path
    from infra.cli.output.formats import emit

    with connect(url, data_dir) as api:
        dropped = [api.delete(path("dead", str(seq)), reason=reason) for seq in seqs]
    emit(output, dropped, _columns())


@app.command("settled")
def settled(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Show at most this many.")] = 100,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List what was replayed and dropped, newest first: who did it, when, and why."""
    from infra.cli.client.http import connect
    from infra.cli.output.durations import ago
    from infra.cli.output.formats import Column, emit

    with connect(url, data_dir) as api:
        found, _ = api.items("/dead/settled", limit)
    columns = (
        Column("SEQ", lambda one: str(one["seq"]), right=True),
        Column("WHEN", lambda one: ago(one["at"])),
        Column("BY", lambda one: one["by"]),
        Column("ACTION", lambda one: one["action"]),
        Column("OUTCOME", lambda one: one["outcome"] or one["note"] or "", wide=True),
        Column("KIND", lambda one: one["kind"]),
        Column("SUBJECT", lambda one: one["subject"], wide=True),
        Column("REASON", lambda one: one["reason"], wide=True),
    )
    emit(output, found, columns)


def _columns() -> tuple[Column, ...]:
    from infra.cli.output.durations import ago
    from infra.cli.output.formats import Column

    return (
        Column("SEQ", lambda one: str(one["seq"]), right=True),
        Column("WHEN", lambda one: ago(one["at"])),
        Column("KIND", lambda one: one["kind"]),
        Column("SUBJECT", lambda one: one["subject"], wide=True),
        Column("REASON", lambda one: one["reason"], wide=True),
        Column("SIZE", lambda one: str(one["size"]), right=True),
        Column("DETAIL", lambda one: one["detail"], wide=True),
    )
