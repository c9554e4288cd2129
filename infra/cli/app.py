"""The application of the `towpath` command: its groups and commands, and its exit code.

Every invocation pays for its imports, even `--help`. So command modules import only typer and the standard
library; expensive modules (httpx, rich, pydantic, the servers) are imported inside the command, and only
where it needs them (docs/adr/0071-short-commands-import-little.md). httpx imports its own command line if it
can, with rich and pygments: two thirds of its import time. A None in `sys.modules` makes Python treat that
module as missing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated, cast

import typer

from infra.cli.arguments.group import Group
from infra.cli.commands import (
    dead,
    locks,
    log,
    logs,
    mcp,
    questions,
    run,
    runners,
    tasks,
    versions,
    workspaces,
)
from infra.cli.commands.installation import backup, evidence, maintenance, notifier, servers
from infra.cli.failures import exit_code
from infra.cli.output.streams import open_streams
from infra.runtime.standard_streams import flush_words

cast("dict[str, ModuleType | None]", sys.modules).setdefault("httpx._main", None)

app = typer.Typer(
    name="towpath",
    cls=Group,
    help="Dispatch tasks to runners; one task at a time works in a shared workspace path.",
    epilog="Exit codes: 0 ok, 1 error, 2 usage, 3 the task failed, 4 not allowed, 5 not found, "
    "6 conflict or locked, 8 timed out, 9 lock lost.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"towpath {version('towpath')}")
        raise typer.Exit


@app.callback()
def _towpath(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for part in (
    run, locks, mcp, tasks, questions, logs, log, servers, maintenance, evidence, versions, backup
):  # fmt: skip
    part.add_to(app)
app.add_typer(workspaces.app, name="workspaces")
app.add_typer(runners.app, name="runners")
app.add_typer(dead.app, name="dead")
app.add_typer(notifier.app, name="notifier")


def main() -> None:
    """Run the command line; exits the process with one of the documented exit codes."""
    open_streams()
    code = exit_code(app)
    flush_words()
    sys.exit(code)
