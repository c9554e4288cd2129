"""Registers `towpath lock` for the list of commands; `infra.entry` runs it without this module."""

from __future__ import annotations

from typing import Annotated

import typer

_CONTEXT = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("lock", context_settings=_CONTEXT)(lock)


def lock(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTIONS] [--] CMD", help="`towpath lock --help` explains."),
    ] = None,
) -> None:
    """Run a command in this terminal while holding a lock of a workspace."""
    from infra.lock.command import main

    main(arguments or [])
