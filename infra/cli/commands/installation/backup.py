"""`towpath backup` and `towpath restore`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.arguments.options import OutputFormat, OutputOption
from infra.cli.arguments.server_options import (
    DataDirOption,
    NatsPortOption,
    NatsUrlOption,
    installation_settings,
    nats_failures,
    server_settings,
)

if TYPE_CHECKING:
    from infra.backup.manifest import Manifest
    from infra.config.settings import Settings

    Work = Callable[
        [Settings, Path, Callable[[int, int], None], Callable[[str], None]], Coroutine[Any, Any, Manifest]
    ]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; new or empty.")],
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Copy the log, and what cannot be rebuilt from it, to DIR, while everything runs.

    It does not contain the secret key: keep that elsewhere.
    """
    settings = installation_settings(
        on_copy=True, nats_url=nats_url, nats_port=nats_port, data_dir=data_dir, log_level="error"
    )
    from infra.backup.backup_and_restore import backup as work

    _run(work, settings, directory, output)


def restore(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
    public_key: Annotated[
        list[str] | None,
        typer.Option(metavar="HEX", help="Check its checkpoints by this key. Repeatable. Default: ours."),
    ] = None,
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Restore the log from a backup and verify it; overwrites nothing.

    Stop every process of Towpath first. Tasks continue when they are started again.
    """
    settings = server_settings(nats_url=nats_url, nats_port=nats_port, data_dir=data_dir, log_level="error")
    from functools import partial

    from infra.backup.backup_and_restore import restore as work

    _run(partial(work, public_keys=tuple(public_key or ())), settings, directory, output)


def _run(work: Work, settings: Settings, directory: Path, output: OutputFormat) -> None:
    import asyncio

    from infra.backup.errors import BackupError
    from infra.cli.output.formats import Column, emit
    from infra.cli.output.stderr import say, say_progress
    from infra.config.settings import SettingsError
    from infra.errors.cli_error import CliError, system_words
    from infra.nats.binary import EmbeddedNatsError

    try:
        with nats_failures():
            done = asyncio.run(work(settings, directory.absolute(), say_progress, say))
    except (BackupError, EmbeddedNatsError, SettingsError, OSError) as error:
        raise CliError(system_words(error)) from None
    columns = (
        Column("STREAM", lambda one: one["stream"]),
        Column("MESSAGES", lambda one: str(one["messages"]), right=True),
        Column("LAST SEQ", lambda one: str(one["last_seq"]), right=True),
        Column("BYTES", lambda one: str(one["bytes"]), right=True),
        Column("FILE", lambda one: one["file"], wide=True),
    )
    rows = [
        {
            "stream": one.stream,
            "messages": one.messages,
            "last_seq": one.last_seq,
            "bytes": one.bytes,
            "file": str(directory.absolute() / one.file),
        }
        for one in done.streams
    ]
    emit(output, rows, columns)
