"""`towpath replay` and `doctor`: maintenance of an installation."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Annotated

import typer

from infra.cli.arguments.options import OutputFormat, OutputOption
from infra.cli.arguments.server_options import (
    DataDirOption,
    NatsPortOption,
    NatsUrlOption,
    installation_settings,
    nats_failures,
    readable_log,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("replay")(replay)
    app.command("doctor")(doctor)


def replay(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Drop the read model and rebuild it.")] = False,
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Read the whole log again; check it or rebuild the read model."""
    settings = installation_settings(
        on_copy=not rebuild, nats_url=nats_url, nats_port=nats_port, data_dir=data_dir
    )
    from domain.ports.log import LogGap
    from infra.cli.output.formats import emit_one, print_data
    from infra.cli.output.stderr import say, say_progress
    from infra.errors.cli_error import CliError
    from infra.maintenance.replay import run_replay

    try:
        with ExitStack() as stack:
            if not rebuild:
                settings = stack.enter_context(readable_log(settings))
            stack.enter_context(nats_failures())
            replayed = run_replay(settings, rebuild, partial(say_progress, what="reading the log"), say)
    except LogGap as error:
        raise CliError(str(error)) from None
    if output is OutputFormat.TABLE:
        print_data(str(replayed))
    else:
        emit_one(output, replayed.as_json(), ())


def doctor(
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Look for faults, and say how to fix them. Ends with 1 if there is a problem."""
    settings = installation_settings(
        nats_url=nats_url, nats_port=nats_port, data_dir=data_dir, log_level="error"
    )
    from infra.cli.output.formats import Column, emit
    from infra.doctor.doctor import run_doctor
    from infra.errors.exit_codes import Exit

    with nats_failures():
        findings = run_doctor(settings)
    columns = (
        Column("CHECK", lambda one: one["check"]),
        Column("STATE", lambda one: one["state"], colored=True),
        Column("FOUND", lambda one: ": ".join(filter(None, (one["found"], one["advice"]))), wide=True),
    )
    emit(output, [finding.as_json() for finding in findings], columns)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(Exit.ERROR)
