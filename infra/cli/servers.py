"""`towpath up` and the parts alone: options become overrides of settings, the rest is `infra`'s."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from infra.cli.options import Output, OutputOption

if TYPE_CHECKING:
    from infra.settings import Settings

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept. [env: TOWPATH_DATA_DIR]")
]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on. [env: TOWPATH_HOST]")]
PortOption = Annotated[int | None, typer.Option("--port", help="Port of the API. [env: TOWPATH_PORT]")]
NatsPortOption = Annotated[
    int | None, typer.Option("--nats-port", help="Port of the embedded NATS server. [env: TOWPATH_NATS_PORT]")
]
NatsUrlOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS servers. [env: TOWPATH_NATS_URL]")
]
RootOption = Annotated[
    list[Path] | None,
    typer.Option("--root", help="Directory to work under. Repeatable. [env: TOWPATH_ROOTS]"),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("api")(api)
    app.command("projector")(projector)
    app.command("runner")(runner)
    app.command("replay")(replay)
    app.command("doctor")(doctor)


def up(
    port: PortOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    root: RootOption = None,
    host: HostOption = None,
) -> None:
    """Start everything on this machine.

    That is NATS, API, projections and a runner that works under --root (default: the current directory).
    """
    settings = _settings(port=port, nats_port=nats_port, data_dir=data_dir, roots=root or None, host=host)
    if not settings.roots:
        settings = settings.model_copy(update={"roots": (Path.cwd(),)})
    from infra.cli.exits import CliError
    from infra.http_server import CannotListen
    from infra.nats_binary import EmbeddedNatsError
    from infra.up import CannotStart, run_up

    try:
        _start(lambda settings: run_up(settings, _print), settings)
    except (CannotStart, CannotListen, EmbeddedNatsError, OSError) as error:
        raise CliError(str(error)) from None


def demo() -> None:
    """Run tasks that contend for a workspace; show the trail.

    It runs on free ports in a directory of its own, and leaves nothing behind.
    """
    settings = _settings(log_level="error")  # the demo shows events; logs would stand between them
    from infra.cli.exits import CliError
    from infra.cli.words import say
    from infra.demo import DemoFailed, run_demo
    from infra.http_server import CannotListen
    from infra.nats_binary import EmbeddedNatsError
    from infra.up import CannotStart

    try:
        run_demo(settings, say)
    except (DemoFailed, CannotStart, CannotListen, EmbeddedNatsError) as error:
        raise CliError(str(error)) from None


def api(
    port: PortOption = None,
    host: HostOption = None,
    nats_url: NatsUrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Start an API process on a NATS that runs elsewhere."""
    settings = _settings(port=port, host=host, nats_url=nats_url, data_dir=data_dir)
    from infra.processes import run_api

    _start(run_api, settings)


def projector(nats_url: NatsUrlOption = None, data_dir: DataDirOption = None) -> None:
    """Start the projections: locks, read model, dispatch, watchdog."""
    settings = _settings(nats_url=nats_url, data_dir=data_dir)
    from infra.processes import run_projector

    _start(run_projector, settings)


def runner(
    pool: Annotated[
        list[str] | None, typer.Option(metavar="POOL", help="Take its attempts. Repeatable.")
    ] = None,
    root: RootOption = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where it keeps what it runs.")] = None,
    capacity: Annotated[int | None, typer.Option(help="Attempts at the same time.")] = None,
    runner_id: Annotated[str | None, typer.Option(help="Its name; default: made once.")] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Take attempts by HTTP, too.")
    ] = None,
    api_url: Annotated[str | None, typer.Option(help="The API it works for. [env: TOWPATH_URL]")] = None,
    nats_url: NatsUrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Start a runner."""
    intake_host, intake_port = _address(listen) if listen else (None, None)
    settings = _settings(
        pools=pool or None,
        roots=root or None,
        runner_state_dir=state_dir,
        runner_capacity=capacity,
        runner_id=runner_id,
        runner_host=intake_host,
        runner_port=intake_port,
        url=api_url,
        nats_url=nats_url,
        data_dir=data_dir,
    )
    from infra.processes import run_runner

    _start(run_runner, settings)


def replay(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Drop the read model and build it anew.")
    ] = False,
    nats_url: NatsUrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Read the whole log again; check it or rebuild the read model."""
    settings = _settings(nats_url=nats_url, data_dir=data_dir)
    from domain.ports import LogGap
    from infra.cli.exits import CliError
    from infra.cli.words import say, say_progress
    from infra.nats_connection import NatsUnavailable
    from infra.replay import run_replay

    try:
        run_replay(settings, rebuild, say_progress, say)
    except (LogGap, NatsUnavailable) as error:
        raise CliError(str(error)) from None


def doctor(
    nats_url: NatsUrlOption = None, data_dir: DataDirOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Look for what is wrong here, and say how to mend it. Ends with 1 if there is a problem."""
    settings = _settings(nats_url=nats_url, data_dir=data_dir, log_level="error")
    from infra.cli.exits import Exit
    from infra.cli.output import Column, emit
    from infra.doctor import run_doctor

    findings = run_doctor(settings)
    columns = (
        Column("CHECK", lambda one: one["check"]),
        Column("STATE", lambda one: one["state"], colored=True),
        Column("FOUND", lambda one: ": ".join(filter(None, (one["found"], one["advice"]))), folded=True),
    )
    emit(output, [finding.as_json() for finding in findings], columns)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(Exit.ERROR)


def _settings(**overrides: Any) -> Settings:
    from infra.cli.exits import CliError, Exit
    from infra.logging import configure_logging
    from infra.settings import SettingsError, load_settings

    try:
        settings = load_settings(**overrides)
    except SettingsError as error:
        raise CliError(str(error), Exit.USAGE) from None
    configure_logging(settings)
    return settings


def _start(run: Callable[[Settings], int], settings: Settings) -> NoReturn:
    """Run a server until it ends, and end with its exit code."""
    from infra.cli.exits import CliError, Exit
    from infra.settings import SettingsError

    try:
        code = run(settings)
    except SettingsError as error:
        raise CliError(str(error), Exit.USAGE) from None
    raise typer.Exit(code)


def _print(line: str) -> None:
    """What `up` says is what it is asked for, and a script may wait for `ready`: at once, on stdout."""
    from infra.cli.output import print_data

    print_data(line)
    sys.stdout.flush()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise typer.BadParameter(f"{text!r}: give HOST:PORT, such as 127.0.0.1:8100", param_hint="--listen")
    return host.strip("[]"), int(port)
