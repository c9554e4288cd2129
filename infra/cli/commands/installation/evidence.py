"""`towpath verify` and `towpath checkpoint …`: they read NATS, not the API."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.cli.arguments.group import Group
from infra.cli.arguments.options import OutputFormat, OutputOption, UrlOption
from infra.cli.arguments.server_options import (
    DataDirOption,
    NatsPortOption,
    NatsUrlOption,
    installation_settings,
    nats_failures,
    readable_log,
    server_settings,
)

app = typer.Typer(
    cls=Group,
    help="Signed checkpoints of the log: list them, or keep them elsewhere.",
    no_args_is_help=True,
)


def add_to(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    parent.command("verify")(verify)
    parent.add_typer(app, name="checkpoint")


def verify(
    checkpoints: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also compare the log with these exported checkpoints."),
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEX", help="Trust this key and no other. Repeatable. Default: this installation's."
        ),
    ] = None,
    read_model: Annotated[
        bool, typer.Option("--read-model/--no-read-model", help="Compare the read model with the log.")
    ] = True,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the result with your name, by the API; needs role auditor.")
    ] = False,
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    url: UrlOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Check that the log is whole and unchanged. Ends with 1 and names the first bad sequence if not.

    It checks sequences, chains, transitions, lock intervals, checkpoints, and that the read model equals a
    replay. What only a copy kept elsewhere can show: docs/verify.md. A log whose server is down is read on a
    copy (TMPDIR), and stays as it is.
    """
    if checkpoints is not None and not checkpoints.exists():
        raise typer.BadParameter(f"there is no file {str(checkpoints)!r}", param_hint="--checkpoints")
    settings = installation_settings(on_copy=True, nats_url=nats_url, nats_port=nats_port, data_dir=data_dir)
    from infra.audit.verification import VerifyOptions, run_verify
    from infra.cli.output.formats import emit_one, print_data
    from infra.cli.output.stderr import say, say_progress
    from infra.errors.cli_error import CliError, system_words
    from infra.errors.exit_codes import Exit

    recorder = None
    if record:
        from infra.cli.client.verification_recorder import VerificationRecorder, verify_command
        from infra.nats.connection import shown_urls

        servers = shown_urls(settings).replace(", ", ",") if nats_url is not None else None
        words = verify_command(
            checkpoints, public_key or (), data_dir, servers=servers, read_model=read_model
        )
        recorder = VerificationRecorder(url, data_dir, words)
        recorder.check()
    try:
        with readable_log(settings) as settings, nats_failures():
            report = run_verify(
                settings,
                VerifyOptions(checkpoints, public_key or (), read_model),
                partial(say_progress, what="reading the log"),
                partial(say_progress, what="comparing the read model"),
            )
    except (ValueError, OSError) as error:
        raise CliError(system_words(error), Exit.USAGE) from None
    if output is not OutputFormat.TABLE:
        emit_one(output, report.as_json(), ())
    else:
        for line in _lines(report):
            print_data(line)
    for note in report.notes:
        say(f"note: {note}")
    if recorder is not None:
        say(recorder.record(report))
    if not report.ok:
        raise typer.Exit(Exit.ERROR)


def _lines(report: Any) -> list[str]:
    from infra.plural import counted

    first = report.first
    if first is not None:
        others = [one for one in report.findings if one is not first]
        return [
            f"first bad sequence: {first.seq}",
            first.sentence,
            *(f"also, at {one.seq}: {one.sentence}" for one in others),
            *([report.exported.sentence] if report.exported is not None else []),
        ]
    covered = "no checkpoint covers it yet"
    if report.covered_upto:
        verb = "covers" if report.checkpoints == 1 else "cover"
        covered = f"{counted(report.checkpoints, 'checkpoint')} {verb} it up to {report.covered_upto}"
    compared = ""
    if report.tasks_compared:
        verb = "equals" if report.tasks_compared == 1 else "equal"
        compared = f", the read model's {counted(report.tasks_compared, 'task')} {verb} a replay"
    words = f"{counted(report.events, 'event')}; {covered}{compared}"
    if report.exported is None:
        return [f"the log is whole: {words}"]
    if not report.ok:
        return [report.exported.sentence, f"without it nothing is wrong: {words}"]
    return [f"the log is whole: {words}", report.exported.sentence]


@app.command("list")
def list_checkpoints(
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show the checkpoints in the log's own stream."""
    settings = installation_settings(on_copy=True, nats_url=nats_url, nats_port=nats_port, data_dir=data_dir)
    from infra.audit.export import stored_checkpoints
    from infra.cli.output.durations import ago
    from infra.cli.output.formats import Column, emit

    with readable_log(settings) as settings, nats_failures():
        found = stored_checkpoints(settings)
    columns = (
        Column("NUMBER", lambda one: str(one["number"]), right=True),
        Column("FROM", lambda one: str(one["first_seq"]), right=True),
        Column("TO", lambda one: str(one["last_seq"]), right=True),
        Column("MADE", lambda one: ago(one["time"])),
        Column("KEY", lambda one: one["key_id"]),
        Column("TREE ROOT", lambda one: one["tree_root"], wide=True),
    )
    emit(output, found, columns)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write them; - is stdout.")],
    after: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Only those after this one.")] = 0,
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write checkpoints and public keys to a file; keep it where operators cannot change it."""
    settings = installation_settings(on_copy=True, nats_url=nats_url, nats_port=nats_port, data_dir=data_dir)
    from infra.audit.export import export_checkpoints, stored_checkpoints
    from infra.cli.output.stderr import say
    from infra.errors.cli_error import CliError
    from infra.plural import counted

    try:
        with readable_log(settings) as settings, nats_failures():
            count, upto = export_checkpoints(settings, file, after)
            there = count or len(stored_checkpoints(settings))
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror or error}") from None
    if count:
        say(f"{counted(count, 'checkpoint')}, up to sequence {upto}")
    else:
        say(f"none behind number {after}: there are {there}" if there else "there is no checkpoint yet")


@app.command("rotate-key")
def rotate_key(data_dir: DataDirOption = None) -> None:
    """Make a new signing key; keep only the public half of the old one. Then restart the projectors.

    Give the printed public key to everyone who verifies the log.
    """
    settings = server_settings(data_dir=data_dir)
    from adapters.crypto.checkpoint_keys import parse_keys
    from infra.cli.output.formats import print_data
    from infra.cli.output.stderr import say
    from infra.config.checkpoint_key import rotate
    from infra.errors.cli_error import CliError, system_words
    from infra.errors.exit_codes import Exit

    if settings.checkpoint_key is not None:
        raise CliError(
            "the key is given by TOWPATH_CHECKPOINT_KEY: put a new one before it there", Exit.USAGE
        )
    try:
        signer, _ = parse_keys(rotate(settings.data_dir))
    except (OSError, ValueError) as error:
        raise CliError(system_words(error)) from None
    print_data(signer.public.hex())
    say("restart `towpath up`, or every projector, so that the new key is used")
