"""`towpath version`: of this command and of the API."""

from __future__ import annotations

import typer

from infra.cli.arguments.options import OutputFormat, OutputOption, UrlOption
from infra.cli.arguments.server_options import DataDirOption


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("version")(version)


def version(
    url: UrlOption = None, data_dir: DataDirOption = None, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Print the versions of this command, and of the API, its contracts and its NATS server."""
    from importlib.metadata import version as installed

    from infra.cli.client.http import Unreachable, connect
    from infra.cli.output.formats import Column, emit_one
    from infra.cli.output.stderr import say

    found = {"command": installed("towpath"), "program": None, "contract": None, "nats_server": None}
    try:
        with connect(url, data_dir) as api:
            found |= api.get("/version")
    except Unreachable as error:
        say(f"the API's versions are not known: {error}")
    columns = (
        Column("command", lambda row: row["command"]),
        Column("API", lambda row: row["program"] or ""),
        Column("contract", lambda row: row["contract"] or ""),
        Column("nats-server", lambda row: row["nats_server"] or ""),
    )
    emit_one(output, found, columns)
