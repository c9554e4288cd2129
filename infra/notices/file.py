"""The file of TOWPATH_NOTIFY: channels and rules in TOML, checked as a whole.

Each fault names its table and key, and all faults are told at once. The file may hold secrets, also in URLs,
so its mode must be 0600; no message here holds a secret or a URL. What a channel may hold: `channels.py`.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from adapters.notices.telegram import TelegramChat
from adapters.telegram.bot_api import check_token
from domain.notices.rules import ENDING, RECOVERED, Rule, Rules, Trigger
from infra.config.private_files import read_private
from infra.config.settings import Settings, SettingsError
from infra.errors.validator_messages import did_you_mean
from infra.notices.channels import Channel, ChannelTables
from infra.notices.people import NOBODY, People, read_people
from infra.notices.toml_tables import TomlTable, TomlTables

TABLES = ("channel", "rule", "user", "recipe")


class NotifyFileError(SettingsError):
    """The file cannot be used; one line for each fault."""


class _Rule(TomlTable):
    channel: str
    events: Annotated[list[str], Field(min_length=1)]
    workspace: str | None = None
    pool: str | None = None
    label: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class NotifyFile:
    """The checked file."""

    channels: Mapping[str, Channel]
    rules: Rules
    people: People = NOBODY
    bots: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)
    """Token and base URL of each bot of Telegram that people write to."""


def load_notify_file(settings: Settings) -> NotifyFile:
    """The file of TOWPATH_NOTIFY. Raises NotifyFileError."""
    path = settings.notify
    if path is None:
        raise NotifyFileError("TOWPATH_NOTIFY: name the file of channels; `towpath notifier init` writes one")
    try:
        text = read_private(path)
    except (OSError, ValueError) as error:
        raise NotifyFileError(f"TOWPATH_NOTIFY: {error}") from None
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotifyFileError(f"{path}: it is no TOML: {error}") from None
    tables = TomlTables(given, TABLES)
    found = _whole(tables, settings)
    if tables.faults:
        raise NotifyFileError("\n".join(f"{path}: {fault}" for fault in tables.faults))
    return found


def _whole(tables: TomlTables, settings: Settings) -> NotifyFile:
    people = read_people(tables)
    entries = tables.entries("channel", needed=not people.users)
    reading = ChannelTables(tables, settings)
    channels = [reading.channel(where, one) for where, one in entries]
    names = Counter(one.name for one in channels if one is not None)
    for name, count in names.items():
        if count > 1:
            tables.fault(f"channel `{name}`", "name", f"{count} channels have this name")
    given = [one.get("name") for _, one in entries]
    rules = [
        _rule(tables, where, one, given) for where, one in tables.entries("rule", needed=not people.users)
    ]
    found = [one for one in channels if one is not None]
    bots = _bots(tables, settings, found) if people.users else frozenset[tuple[str, str]]()
    known = {one.name: one for one in found}
    return NotifyFile(known, Rules(one for one in rules if one is not None), people, bots)


def _bots(tables: TomlTables, settings: Settings, channels: list[Channel]) -> frozenset[tuple[str, str]]:
    """The bots that people write to: those of the channels, and that of the environment."""
    found = {
        (one.receiver.token, one.receiver.base_url)
        for one in channels
        if isinstance(one.receiver, TelegramChat)
    }
    if settings.telegram_token is not None:
        name, given = "TOWPATH_TELEGRAM_TOKEN", settings.telegram_token.get_secret_value()
        token = tables.value("the environment", name, check_token, given)
        found |= {(token, settings.telegram_api)} if token is not None else set()
    if not found and not tables.faults:
        words = (
            "no bot takes what they write: add a channel of kind `telegram`, or set TOWPATH_TELEGRAM_TOKEN"
        )
        tables.fault("the file", "user", words)
    return frozenset(found)


def _rule(tables: TomlTables, where: str, table: dict[str, Any], channels: list[Any]) -> Rule | None:
    read = tables.table(where, _Rule, table)
    if read is None:
        return None
    if read.channel not in channels:
        known = [str(name) for name in channels]
        tables.fault(where, "channel", f"there is no such channel{did_you_mean(read.channel, known)}")
    triggers = [tables.value(where, "events", Trigger.parse, text) for text in read.events]
    named = tuple(dict.fromkeys(one for one in triggers if one is not None))
    if Trigger(RECOVERED) in named and not any(one.name in ENDING for one in named):
        words = f"`{RECOVERED}` tells the end of what the same rule names: add one of {_listed(ENDING)}"
        tables.fault(where, "events", words)
    label = tables.value(where, "label", _label, read.label) if read.label is not None else None
    return Rule(read.channel, named, read.workspace, read.pool, label, read.title)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError("write it as name=value")
    return key, value


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
