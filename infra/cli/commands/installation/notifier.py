"""`towpath notifier`: tells channels what their rules ask for; `init`, `check`, `test`, `dead`, `replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.arguments.group import Group
from infra.cli.arguments.options import OutputFormat, OutputOption, duration
from infra.cli.arguments.server_options import (
    DataDirOption,
    NatsPortOption,
    NatsUrlOption,
    installation_settings,
    nats_failures,
    part_settings,
    server_settings,
)

if TYPE_CHECKING:
    from infra.config.settings import Settings
    from infra.notices.file import NotifyFile

_MANY = 10_000
WAIT_SECONDS = 600.0

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="Start the notifier, or look after it: init, check, test, dead, replay.",
)


@app.callback()
def notifier(context: typer.Context, nats_url: NatsUrlOption = None, data_dir: DataDirOption = None) -> None:
    """Start the notifier, which tells channels what their rules ask for."""
    if context.invoked_subcommand is not None:
        return
    from infra.cli.commands.installation.servers import start
    from infra.runtime.processes import run_notifier

    start(run_notifier, part_settings(nats_url=nats_url, data_dir=data_dir))


@app.command("init")
def init(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; default: TOWPATH_NOTIFY.")
    ] = None,
    telegram: Annotated[
        bool,
        typer.Option(
            "--telegram",
            help="For a chat of Telegram: waits for a first message from it.",
            show_default=False,
        ),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --telegram: the file with the bot's token, mode 0600."),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="With --telegram: wait so long for the message: 90, 2h. Default: 10m.",
        ),
    ] = None,
) -> None:
    """Write a commented file of channels and rules; never over another."""
    settings = server_settings(quiet=True)
    from infra.cli.output.stderr import say
    from infra.config.private_files import create_private
    from infra.errors.cli_error import CliError, system_words
    from infra.errors.exit_codes import Exit
    from infra.notices.example import example

    path = file or settings.notify
    if path is None:
        raise CliError("name the file to write, or set TOWPATH_NOTIFY to it", Exit.USAGE)
    if token_file is not None and not telegram:
        raise CliError("--token-file is for --telegram", Exit.USAGE)
    there = CliError(f"{path} is there already, and stays as it is", Exit.CONFLICT)
    if path.exists():
        raise there
    text = _for_chat(settings, token_file, wait or WAIT_SECONDS) if telegram else example()
    try:
        with open(create_private(path), "w") as made:  # noqa: PTH123  a descriptor
            made.write(text)
    except FileExistsError:
        raise there from None
    except OSError as error:
        raise CliError(system_words(error)) from None
    then = "try `towpath notifier test ops`" if telegram else "try `towpath notifier check`"
    say(f"wrote {path}: edit it, set TOWPATH_NOTIFY={path.absolute()}, and {then}")


def _for_chat(settings: Settings, token_file: Path | None, wait: float) -> str:
    """The file for the chat that somebody writes from, within `wait` seconds."""
    import asyncio

    from adapters.telegram.bot_api import BotApi, check_token
    from adapters.telegram.errors import BotApiError, Conflict
    from adapters.telegram.updates import ChatMessage
    from infra.cli.output.stderr import say
    from infra.config.private_files import read_private
    from infra.errors.cli_error import CliError, system_words
    from infra.errors.exit_codes import Exit
    from infra.notices.example import telegram_example
    from infra.notices.telegram_setup import invite, wait_for_chat

    try:
        if token_file is not None:
            token = check_token(read_private(token_file))
            named = f"token_file = {_toml(str(token_file.absolute()))}"
        elif settings.telegram_token is not None:
            token = check_token(settings.telegram_token.get_secret_value())
            named = "# its token is in the variable TOWPATH_TELEGRAM_TOKEN"
        else:
            token = check_token(_asked_token())
            named = f'token = "{token}"'
    except OSError as error:
        raise CliError(system_words(error), Exit.USAGE) from None
    except ValueError as error:
        raise CliError(f"the bot's token: {error}", Exit.USAGE) from None

    async def find() -> ChatMessage | None:
        async with BotApi(token, settings.telegram_api) as api:
            invitation = await invite(api)
            own, group = invitation.links
            say(f"To be told in a chat of your own, open {own} and press Start.")
            say(f"To be told in a group, open {group} and choose the group.")
            start = f"/start@{invitation.me.username} {invitation.code}"
            say(f"In a topic or a channel where the bot is a member, send: {start}")
            return await wait_for_chat(api, invitation, wait)

    try:
        found = asyncio.run(find())
    except Conflict as error:
        raise CliError(
            f"Telegram: {error}: end it while this command waits, or make a bot of its own"
        ) from None
    except BotApiError as error:
        raise CliError(f"Telegram: {error}") from None
    if found is None:
        raise CliError(f"no message with the code came within {wait:g} seconds; nothing was written")
    by = found.sender.id if found.sender is not None else None
    who = f", sent by {by}" if by is not None and by != found.chat.id else ""
    say(f"found the chat {found.chat.id} ({found.chat.kind}{who})")
    return telegram_example(named, found.chat.id, found.thread_id, person=by)


def _asked_token() -> str:
    """The token, typed at a terminal without being shown. Raises ValueError."""
    import sys

    if not sys.stdin.isatty():
        raise ValueError("give --token-file, or set TOWPATH_TELEGRAM_TOKEN")
    asked: str = typer.prompt("The bot's token, which BotFather gives", hide_input=True, err=True)
    return asked


def _toml(text: str) -> str:
    """`text` as a TOML string."""
    import json

    return json.dumps(text, ensure_ascii=False)


@app.command("check")
def check(
    nats_url: NatsUrlOption = None,
    nats_port: NatsPortOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Find the faults of the file; show what each rule would have sent of the last 1,000 events."""
    settings = server_settings(quiet=True, nats_url=nats_url, nats_port=nats_port, data_dir=data_dir)
    file = _file(settings)
    import asyncio

    from infra.cli.output.formats import Column, emit
    from infra.cli.output.stderr import say
    from infra.notices.trial import try_rules

    say(f"{settings.notify}: no fault")
    if nats_url is None and nats_port is None and not _runs(settings):
        say("start Towpath to see what each rule would have sent")
        return
    settings = installation_settings(nats_url=nats_url, nats_port=nats_port, data_dir=data_dir, quiet=True)
    with nats_failures():
        number, tried = asyncio.run(try_rules(settings, file.rules))
    say(f"of the last {number} events, each rule would have sent:")
    columns = (
        Column("RULE", lambda one: str(one["rule"]), right=True),
        Column("CHANNEL", lambda one: one["channel"]),
        Column("EVENT", lambda one: one["event"]),
        Column("SENT", lambda one: "?" if one["told"] is None else str(one["told"]), right=True),
        Column("LAST", lambda one: one["last"] or "", wide=True),
    )
    emit(output, [one.as_json() for one in tried], columns)
    if any(one.told is None for one in tried):
        say("?: only running processes show it, not the log")


def _runs(settings: Settings) -> bool:
    """Whether there is a log to read: of an installation in the data directory, or that the settings name."""
    from infra.config.installation import NotRunning, completed

    try:
        completed(settings, "nats")
    except NotRunning:
        return False
    return True


@app.command("test")
def try_channel(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name in the file.")],
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Send a test to a channel now, and show whether it was taken."""
    settings = server_settings(quiet=True)
    file = _file(settings)
    import asyncio

    from domain.ports.notices import NotSent
    from infra.cli.output.formats import emit_one, print_data
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit
    from infra.errors.validator_messages import did_you_mean
    from infra.notices.operators import send_test

    found = file.channels.get(channel)
    if found is None:
        raise CliError(
            f"{settings.notify} has no channel {channel!r}{did_you_mean(channel, file.channels)}: it has "
            f"{', '.join(file.channels)}",
            Exit.NOT_FOUND,
        )
    try:
        message = asyncio.run(send_test(found))
    except NotSent as error:
        raise CliError(f"{channel} did not take it: {error}") from None
    if output is OutputFormat.TABLE:
        print_data(f"{channel} has taken the test {message.id}")
    else:
        emit_one(output, {"channel": channel, "id": message.id}, ())


@app.command("dead")
def dead(
    limit: Annotated[int, typer.Option(min=1, max=_MANY, help="Show at most this many.")] = 100,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the notices that no try could send, the newest first."""
    settings = server_settings(quiet=True, data_dir=data_dir)
    import asyncio

    from domain.errors import Busy
    from infra.cli.output.formats import Column, emit
    from infra.errors.cli_error import CliError
    from infra.notices.operators import given_up

    try:
        found = asyncio.run(given_up(settings, limit))
    except Busy as error:
        raise CliError(error.detail) from None
    rows = [
        {
            "id": one.message.id,
            "channel": one.channel,
            "at": (one.changed_at or one.at).isoformat(),
            "tries": one.tries,
            "why": one.error,
            "text": one.message.notice.text,
        }
        for one in found
    ]
    columns = (
        Column("ID", lambda one: one["id"]),
        Column("CHANNEL", lambda one: one["channel"]),
        Column("TRIES", lambda one: str(one["tries"]), right=True),
        Column("WHY", lambda one: one["why"] or "", wide=True),
        Column("NOTICE", lambda one: one["text"].splitlines()[0], wide=True),
    )
    emit(output, rows, columns)


@app.command("replay")
def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Of `dead`.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were given up.", show_default=False)
    ] = False,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let the notifier send notices again that it has given up."""
    settings = server_settings(quiet=True, data_dir=data_dir)
    import asyncio

    from domain.errors import Busy
    from infra.cli.output.formats import emit_one, print_data
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit
    from infra.notices.operators import send_again
    from infra.plural import counted

    if bool(ids) == everything:
        raise CliError("name the notices, as `towpath notifier dead` shows them, or give --all", Exit.USAGE)
    try:
        number = asyncio.run(send_again(settings, ids if not everything else None))
    except Busy as error:
        raise CliError(error.detail) from None
    if not number and ids:
        raise CliError(
            "none of them was given up for a channel of the file: `towpath notifier dead` lists those",
            Exit.NOT_FOUND,
        )
    if output is OutputFormat.TABLE:
        print_data(f"{counted(number, 'notice')} will be sent again")
    else:
        emit_one(output, {"replayed": number}, ())


def _file(settings: Settings) -> NotifyFile:
    """The checked file; each fault on a line of its own."""
    from infra.errors.cli_error import CliError
    from infra.errors.exit_codes import Exit
    from infra.notices.file import NotifyFileError, load_notify_file

    try:
        return load_notify_file(settings)
    except NotifyFileError as error:
        raise CliError(str(error), Exit.USAGE) from None
