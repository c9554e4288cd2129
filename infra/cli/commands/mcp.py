"""`towpath mcp`: the tools of Towpath for a coding agent, over stdio."""

from __future__ import annotations

import sys

import typer

from infra.cli.arguments.options import UrlOption
from infra.cli.arguments.server_options import DataDirOption

NEEDED = ("mcp", "towpath_client")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("mcp")(mcp)


def mcp(url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """Serve coding agents over stdio, by the Model Context Protocol; an agent starts it itself.

    Locks that it claims live as long as it does. Needs the extra `towpath[mcp]`. docs/coding-agents.md has
    the settings of agents.
    """
    from importlib.util import find_spec

    from infra.cli.client.http import where
    from infra.cli.output.stderr import say
    from infra.errors.cli_error import CliError

    missing = [name.replace("_", "-") for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CliError(
            f"towpath mcp needs {' and '.join(missing)}: install them with `pip install 'towpath[mcp]'`, "
            "in a checkout with `pip install ./packages/towpath-client '.[mcp]'`"
        )
    found, token = where(url, data_dir)
    if sys.stdin.isatty():
        say("a coding agent starts this and speaks to it on stdin: docs/coding-agents.md; Ctrl-C ends it")
    from infra.mcp.server import serve

    serve(found, token)
