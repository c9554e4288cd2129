"""`towpath up`, `api`, `projector`, `runner`: options become settings, `infra.runtime` does the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from infra.cli.arguments.server_options import (
    DataDirOption,
    HostOption,
    JobSignalsOption,
    JobUserOption,
    NatsPortOption,
    NatsUrlOption,
    PortOption,
    RootOption,
    WorkersOption,
    nothing_runs,
    part_settings,
    server_settings,
)

if TYPE_CHECKING:
    from infra.config.settings import Settings


class Projection(StrEnum):
    """Projections of a projector process. Every task waits for the locks; they may run in their own."""

    LOCKS = "locks"
    DISPATCH = "dispatch"
    WATCHDOG = "watchdog"
    READ_MODEL = "read-model"
    CHECKPOINT_SIGNER = "checkpoint-signer"


FORMER = {"tasks": Projection.READ_MODEL, "sealer": Projection.CHECKPOINT_SIGNER}
"""Former names, accepted for one more release."""


def parse_projection(name: str) -> Projection:
    """The projection that `name` means on the command line."""
    try:
        return FORMER.get(name) or Projection(name)
    except ValueError:
        names = ", ".join(Projection)
        raise typer.BadParameter(f"{name!r} is not one of {names}") from None


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("api")(api)
    app.command("projector")(projector)
    app.command("runner")(runner)


def up(
    port: PortOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    root: RootOption = None,
    host: HostOption = None,
    workers: WorkersOption = None,
    job_user: JobUserOption = None,
    job_signals: JobSignalsOption = None,
) -> None:
    """Start everything on this machine.

    That is NATS, API, projections and a runner that works under --root (default: the current directory).
    """
    settings = server_settings(
        port=port,
        nats_port=nats_port,
        data_dir=data_dir,
        roots=root or None,
        host=host,
        workers=workers,
        job_user=job_user,
        job_signals=job_signals,
        quiet=True,
    )
    if not settings.roots:
        settings = settings.model_copy(update={"roots": (Path.cwd(),)})
    from infra.errors.cli_error import CliError, system_words
    from infra.nats.binary import EmbeddedNatsError
    from infra.runtime.forked_parts import CannotStart
    from infra.runtime.http_server import CannotListen
    from infra.runtime.up import run_up

    try:
        start(lambda settings: run_up(settings, _print), settings)
    except (CannotStart, CannotListen, EmbeddedNatsError) as error:
        raise CliError(str(error)) from None
    except OSError as error:
        said = system_words(error)
        if error.filename and Path(os.fsdecode(error.filename)).is_relative_to(settings.data_dir):
            said = f"--data-dir {settings.data_dir} cannot be used ({said}): name a directory to write in"
        raise CliError(said) from None


def demo() -> None:
    """Run tasks that contend for a workspace; show the trail.

    It runs on free ports in a temporary directory, and leaves nothing behind.
    """
    settings = server_settings(log_level="error")  # the demo shows events; logs would interrupt them
    from infra.cli.demo import DemoFailed, run_demo
    from infra.cli.output.stderr import say
    from infra.config.process_secrets import keep_secrets
    from infra.errors.cli_error import CliError
    from infra.nats.binary import EmbeddedNatsError
    from infra.runtime.forked_parts import CannotStart
    from infra.runtime.http_server import CannotListen

    keep_secrets()
    try:
        run_demo(settings, say)
    except (DemoFailed, CannotStart, CannotListen, EmbeddedNatsError) as error:
        raise CliError(str(error)) from None


def api(
    port: PortOption = None,
    host: HostOption = None,
    workers: WorkersOption = None,
    nats_url: NatsUrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Start an API that uses a running NATS."""
    settings = part_settings(port=port, host=host, workers=workers, nats_url=nats_url, data_dir=data_dir)
    from infra.errors.cli_error import CliError
    from infra.runtime.api_workers import run_api
    from infra.runtime.forked_parts import CannotStart
    from infra.runtime.http_server import CannotListen

    try:
        start(run_api, settings)
    except (CannotStart, CannotListen) as error:
        raise CliError(str(error)) from None


def projector(
    only: Annotated[
        list[Projection] | None,
        typer.Option(
            parser=parse_projection,
            metavar="|".join(Projection),
            help="Run only this one. Repeatable. Default: all.",
        ),
    ] = None,
    nats_url: NatsUrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Start locks, dispatch, watchdog (deadlines, lost runners), read model and checkpoint signer."""
    settings = part_settings(nats_url=nats_url, data_dir=data_dir)
    from infra.runtime.processes import PROJECTIONS, run_projector

    chosen = tuple(only or PROJECTIONS)
    start(lambda settings: run_projector(settings, chosen), settings)


def runner(
    pool: Annotated[
        list[str] | None, typer.Option(metavar="POOL", help="Take its attempts. Repeatable.")
    ] = None,
    root: RootOption = None,
    state_dir: Annotated[Path | None, typer.Option(help="Its attempts, reports and outputs.")] = None,
    capacity: Annotated[int | None, typer.Option(help="Attempts at the same time.")] = None,
    runner_id: Annotated[str | None, typer.Option(help="Its name; default: made once.")] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Take attempts by HTTP, too.")
    ] = None,
    no_nats: Annotated[
        bool, typer.Option("--no-nats", help="Work by HTTP alone; needs --listen.", show_default=False)
    ] = False,
    api_url: Annotated[str | None, typer.Option(help="The API it works for. [env: TOWPATH_URL]")] = None,
    nats_url: NatsUrlOption = None,
    data_dir: DataDirOption = None,
    job_user: JobUserOption = None,
    job_signals: JobSignalsOption = None,
) -> None:
    """Start a runner."""
    intake_host, intake_port = _address(listen) if listen else (None, None)
    settings = server_settings(
        pools=pool or None,
        roots=root or None,
        runner_state_dir=state_dir,
        runner_capacity=capacity,
        runner_id=runner_id,
        runner_host=intake_host,
        runner_port=intake_port,
        runner_nats=False if no_nats else None,
        url=api_url,
        nats_url=nats_url,
        data_dir=data_dir,
        job_user=job_user,
        job_signals=job_signals,
    )
    from infra.config.installation import for_runner
    from infra.runtime.processes import run_runner

    with nothing_runs():
        settings = for_runner(settings)
    start(run_runner, settings)


def start(run: Callable[[Settings], int], settings: Settings) -> NoReturn:
    """Run a server until it ends, and exit with its exit code.

    At once: with everything imported, Python takes a tenth of a second to take itself down.
    """
    from infra.config.process_secrets import keep_secrets
    from infra.config.settings import SettingsError
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit
    from infra.runtime.standard_streams import flush_words

    keep_secrets()
    try:
        code = run(settings)
    except SettingsError as error:
        raise CliError(str(error), Exit.USAGE) from None
    finally:
        flush_words()
    os._exit(code)


def _print(line: str) -> None:
    """Print a line at once on stdout: a script may wait for `ready`."""
    from infra.runtime.standard_streams import write_words

    write_words(line + "\n")


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal()) or (":" in host and not host.startswith("[")):
        raise typer.BadParameter(
            f"{text!r}: give HOST:PORT, such as 127.0.0.1:8100 or [::1]:8100", param_hint="--listen"
        )
    return host.strip("[]"), int(port)
