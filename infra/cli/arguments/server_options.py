"""Options of server commands, the settings they override, and NATS errors as messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors.validator_messages import in_words

if TYPE_CHECKING:
    from infra.config.settings import Settings

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept. [env: TOWPATH_DATA_DIR]")
]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on. [env: TOWPATH_HOST]")]
PortOption = Annotated[int | None, typer.Option("--port", help="Port of the API. [env: TOWPATH_PORT]")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="API processes that share the port. [env: TOWPATH_WORKERS]"),
]
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
JobSignalsOption = Annotated[
    str | None,
    typer.Option(
        "--job-signals",
        metavar="any|own",
        help="own: tasks can signal only what they have started. [env: TOWPATH_JOB_SIGNALS]",
    ),
]
JobUserOption = Annotated[
    str | None,
    typer.Option("--job-user", metavar="NAME", help="Run tasks as this user. [env: TOWPATH_JOB_USER]"),
]


_OPTIONS = {
    "roots": "--root",
    "pools": "--pool",
    "runner_state_dir": "--state-dir",
    "runner_capacity": "--capacity",
    "runner_host": "--listen",
    "runner_port": "--listen",
    "url": "--api-url",
}
"""Server options whose name differs from the setting that they override."""


def said_of_options(message: str, given: Mapping[str, Any]) -> str:
    """`message` about settings, with the given options named in place of environment variables."""
    from infra.config.settings import env_name

    for name in given:
        option = _OPTIONS.get(name, "--" + name.replace("_", "-"))
        message = re.sub(rf"^{env_name(name)}(?=: )", option, message, flags=re.MULTILINE)
    return in_words(message)


def server_settings(*, quiet: bool = False, **overrides: Any) -> Settings:
    """The settings with these overrides (None: not given); also sets up logging.

    `quiet`: log from warnings on unless a level was set, so that the shell stays usable.
    """
    from infra.config.settings import SettingsError, load_settings
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit
    from infra.telemetry.logging import configure_logging

    try:
        settings = load_settings(**overrides)
    except SettingsError as error:
        given = {name: value for name, value in overrides.items() if value is not None}
        raise CliError(said_of_options(str(error), given), Exit.USAGE) from None
    if quiet and "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "warning"})
    configure_logging(settings)
    return settings


def installation_settings(*, on_copy: bool = False, **overrides: Any) -> Settings:
    """`server_settings`, completed by the installation that runs on the data directory.

    `on_copy`: if its server is down, the command reads the log from a copy (`readable_log`), or starts the
    server itself.
    """
    from infra.config.installation import NotRunning, completed
    from infra.maintenance.offline import is_down

    settings = server_settings(**overrides)
    with nothing_runs():
        try:
            return completed(settings, "nats")
        except NotRunning as error:
            down = settings.model_copy(update={"data_dir": error.directory})
            if on_copy and is_down(down):
                return down
            raise


def part_settings(**overrides: Any) -> Settings:
    """`server_settings` of an API or a projector that runs alone."""
    from infra.config.installation import for_part

    with nothing_runs():
        return for_part(server_settings(**overrides))


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Converts NotRunning to an error message."""
    from infra.config.installation import NotRunning
    from infra.errors.cli_error import CliError

    try:
        yield
    except NotRunning as error:
        raise CliError(str(error)) from None


@contextmanager
def readable_log(settings: Settings) -> Iterator[Settings]:
    """Settings with which the log can be read, from a copy if its server is down; see
    `infra.maintenance.offline`."""
    from infra.cli.output.stderr import say
    from infra.errors.cli_error import CliError, system_words
    from infra.maintenance.offline import CannotCopy, readable
    from infra.nats.binary import EmbeddedNatsError

    with ExitStack() as stack:
        try:
            found = stack.enter_context(readable(settings, say))
        except EmbeddedNatsError as error:
            raise CliError(f"the log cannot be read on a copy: {error}") from None
        except (CannotCopy, OSError) as error:
            raise CliError(system_words(error)) from None
        yield found


@contextmanager
def nats_failures() -> Iterator[None]:
    """Converts errors of NATS, such as a refusal or a timeout, to error messages."""
    from nats.errors import Error as NatsError

    from domain.errors import Busy
    from infra.errors.cli_error import CliError
    from infra.nats.connection import NatsUnavailable

    try:
        yield
    except NatsUnavailable as error:
        raise CliError(str(error)) from None
    except Busy as error:
        raise CliError(error.detail) from None
    except NatsError as error:
        raise CliError(
            f"NATS does not let this through ({error}): set TOWPATH_NATS_USER and TOWPATH_NATS_PASSWORD "
            "to the control plane's; for a `towpath up`, give --data-dir and --nats-port instead"
        ) from None
