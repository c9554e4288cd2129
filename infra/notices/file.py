"""The file of TOWPATH_NOTIFY: channels and rules in TOML, checked as a whole.

Each fault names its table and key, and all faults are told at once. The file may hold secrets, also in URLs,
so its mode must be 0600; no message here holds a secret or a URL.
"""

from __future__ import annotations

import secrets
import tomllib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.notices.addresses import Allowed
from adapters.notices.signature import PREFIX, parse_secrets
from adapters.notices.webhook import Webhook, check_url
from domain.identifiers import Name
from domain.notices.rules import ENDING, RECOVERED, Rule, Rules, Trigger
from domain.notices.schedule import QuietHours, Timing
from domain.validation.durations import seconds
from infra.config.private_files import read_private
from infra.config.settings import Settings, SettingsError
from infra.errors.validator_messages import did_you_mean, in_words

LONGEST_DIGEST_SECONDS = 86400.0
LATER_KINDS = ("telegram", "apprise")
T = TypeVar("T")
Given = TypeVar("Given")
Model = TypeVar("Model", bound="_Table")


class NotifyFileError(SettingsError):
    """The file cannot be used; one line for each fault."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Channel(_Table):
    name: Name
    kind: Literal["webhook"]
    url: str
    secret: str | None = None
    secret_file: str | None = None
    allow: list[str] = []
    digest: str | None = None
    quiet: str | None = None


class _Rule(_Table):
    channel: str
    events: Annotated[list[str], Field(min_length=1)]
    workspace: str | None = None
    pool: str | None = None
    label: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as configured."""

    name: str
    timing: Timing
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class NotifyFile:
    """The checked file."""

    channels: Mapping[str, Channel]
    rules: Rules


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
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotifyFileError(f"{path}: it is no TOML: {error}") from None
    reading = _Reading(settings)
    found = reading.whole(tables)
    if reading.faults:
        raise NotifyFileError("\n".join(f"{path}: {fault}" for fault in reading.faults))
    return found


class _Reading:
    """Reads the tables; collects the faults."""

    def __init__(self, settings: Settings) -> None:
        self.faults: list[str] = []
        self._secret = settings.webhook_secret

    def whole(self, tables: Mapping[str, Any]) -> NotifyFile:
        for key in sorted(set(tables) - {"channel", "rule"}):
            self._fault("the file", key, f"there is no such table{did_you_mean(key, ('channel', 'rule'))}")
        channels = [self._channel(where, one) for where, one in self._entries(tables, "channel")]
        names = Counter(one.name for one in channels if one is not None)
        for name, count in names.items():
            if count > 1:
                self._fault(f"channel `{name}`", "name", f"{count} channels have this name")
        given = [one.get("name") for one in tables.get("channel", []) if isinstance(one, dict)]
        rules = [self._rule(where, one, given) for where, one in self._entries(tables, "rule")]
        return NotifyFile(
            {one.name: one for one in channels if one is not None},
            Rules(one for one in rules if one is not None),
        )

    def _entries(self, tables: Mapping[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
        found = tables.get(kind, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            self._fault("the file", kind, f"write each one below a line [[{kind}]]")
            return []
        if not found:
            self._fault("the file", kind, f"there is none: write at least one [[{kind}]]")
        return [(f"{kind} {number}{_named(one)}", one) for number, one in enumerate(found, start=1)]

    def _channel(self, where: str, table: dict[str, Any]) -> Channel | None:
        if table.get("kind") in LATER_KINDS:
            words = f"`{table['kind']}` is not available in this version; `webhook` is"
            self._fault(where, "kind", words)
            return None
        read = self._table(where, _Channel, table)
        if read is None:
            return None
        before = len(self.faults)
        allowed = self._value(where, "allow", Allowed.parse, read.allow) or Allowed()
        self._value(where, "url", lambda url: check_url(url, allowed), read.url)
        keys = self._keys(where, read)
        digest = self._value(where, "digest", _window, read.digest) if read.digest else None
        quiet = self._value(where, "quiet", QuietHours.parse, read.quiet) if read.quiet else None
        if len(self.faults) > before or keys is None:
            return None
        return Channel(read.name, Timing(digest, quiet), Webhook(read.url, keys, allowed))

    def _keys(self, where: str, read: _Channel) -> tuple[bytes, ...] | None:
        if read.secret is not None and read.secret_file is not None:
            self._fault(where, "secret_file", "`secret` is there, too: keep one of them")
            return None
        if read.secret is not None:
            return self._value(where, "secret", parse_secrets, read.secret)
        if read.secret_file is not None:
            return self._value(where, "secret_file", _secrets_in, read.secret_file)
        if self._secret is None:
            words = "give `secret` or `secret_file`, or set TOWPATH_WEBHOOK_SECRET"
            self._fault(where, "secret", words)
            return None
        return self._value(where, "TOWPATH_WEBHOOK_SECRET", parse_secrets, self._secret.get_secret_value())

    def _rule(self, where: str, table: dict[str, Any], channels: list[Any]) -> Rule | None:
        read = self._table(where, _Rule, table)
        if read is None:
            return None
        if read.channel not in channels:
            known = [str(name) for name in channels]
            self._fault(where, "channel", f"there is no such channel{did_you_mean(read.channel, known)}")
        triggers = [self._value(where, "events", Trigger.parse, text) for text in read.events]
        named = tuple(dict.fromkeys(one for one in triggers if one is not None))
        if Trigger(RECOVERED) in named and not any(one.name in ENDING for one in named):
            words = f"`{RECOVERED}` tells the end of what the same rule names: add one of {_listed(ENDING)}"
            self._fault(where, "events", words)
        label = self._value(where, "label", _label, read.label) if read.label is not None else None
        return Rule(read.channel, named, read.workspace, read.pool, label, read.title)

    def _table(self, where: str, model: type[Model], table: dict[str, Any]) -> Model | None:
        try:
            return model.model_validate(table)
        except ValidationError as error:
            known = list(model.model_fields)
            for one in error.errors(include_url=False, include_input=False):
                key = str(one["loc"][0])
                if one["type"] == "extra_forbidden":
                    self._fault(where, key, f"there is no such key{did_you_mean(key, known)}")
                elif one["type"] == "missing":
                    self._fault(where, key, "it is missing")
                else:
                    self._fault(where, key, in_words(str(one["msg"])))
            return None

    def _value(self, where: str, key: str, read: Callable[[Given], T], given: Given) -> T | None:
        try:
            return read(given)
        except (OSError, ValueError) as error:
            self._fault(where, key, str(error))
            return None

    def _fault(self, where: str, key: str, words: str) -> None:
        self.faults.append(f"{where}, `{key}`: {words}")


def _named(table: dict[str, Any]) -> str:
    name = table.get("name", table.get("channel"))
    return f" (`{name[:64]}`)" if isinstance(name, str) and name.isprintable() else ""


def _secrets_in(path: str) -> tuple[bytes, ...]:
    return parse_secrets(read_private(Path(path)))


def _window(text: str) -> timedelta:
    length = seconds(text, LONGEST_DIGEST_SECONDS)
    if length <= 0:
        raise ValueError("a window of no length collects nothing: leave it out")
    return timedelta(seconds=length)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError("write it as name=value")
    return key, value


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def example() -> str:
    """A commented file with a fresh secret."""
    secret = PREFIX + b64encode(secrets.token_bytes(32)).decode()
    return _EXAMPLE.replace("SECRET", secret)


_EXAMPLE = """\
# What Towpath tells, and whom: docs/notices.md. Keep this file's mode at 0600, since it holds secrets.
# `towpath notifier check` finds faults, and shows what the rules would have sent lately.

[[channel]]
name = "ops"
kind = "webhook"
url = "https://hooks.example.com/towpath"
secret = "SECRET"  # for receivers too; or secret_file = "/etc/towpath/hook-secret"
# allow = ["127.0.0.1", "10.1.0.0/16", "hooks.internal"]  # receivers that have no public address
# digest = "30s"                          # collect what comes within this time, and tell it at once
# quiet = "22:00-07:00 Europe/Berlin"     # held until the end, but for questions and kept locks

[[rule]]
channel = "ops"
events = ["failed", "submit-failed", "asked", "runner-lost", "recovered"]
# any event of the log, and: "lock-waits-over 10m", "runs-over 1h", "runner-suspected", "awaiting-operator",
# "dead-letter". "recovered" tells the end of the conditions that stand beside it.
# workspace = "shop"                      # only of this workspace, pool, label, or title (a glob)
# pool = "default"
# label = "team=web"
# title = "deploy*"
"""
