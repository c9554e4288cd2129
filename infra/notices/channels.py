"""The tables `[[channel]]`, by kind: what each may hold, and the receiver that it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, SecretStr

from adapters.notices.addresses import Allowed
from adapters.notices.apprise_service import AppriseUrl, check_apprise_url
from adapters.notices.signature import parse_secrets
from adapters.notices.telegram import TelegramChat
from adapters.notices.webhook import Webhook, check_url
from adapters.telegram.bot_api import ChatId, check_token
from domain.identifiers import Name
from domain.notices.schedule import QuietHours, Timing
from domain.validation.durations import seconds
from infra.config.private_files import read_private
from infra.config.settings import Settings
from infra.errors.validator_messages import did_you_mean
from infra.notices.toml_tables import TomlTable, TomlTables

LONGEST_DIGEST_SECONDS = 86400.0
Secret = TypeVar("Secret")


class _Channel(TomlTable):
    name: Name
    digest: str | None = None
    quiet: str | None = None


class _WebhookChannel(_Channel):
    kind: Literal["webhook"]
    url: str
    secret: str | None = None
    secret_file: str | None = None
    allow: list[str] = Field([])


class _TelegramChannel(_Channel):
    kind: Literal["telegram"]
    token: str | None = None
    token_file: str | None = None
    chat_id: int | str
    thread_id: Annotated[int, Field(ge=1)] | None = None


class _AppriseChannel(_Channel):
    kind: Literal["apprise"]
    url: str | None = None
    url_file: str | None = None


Receiver = Webhook | TelegramChat | AppriseUrl
KINDS: dict[str, type[_Channel]] = {
    "webhook": _WebhookChannel,
    "telegram": _TelegramChannel,
    "apprise": _AppriseChannel,
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as configured."""

    name: str
    timing: Timing
    receiver: Receiver


class ChannelTables:
    """Reads the channels of a file."""

    def __init__(self, tables: TomlTables, settings: Settings) -> None:
        self._tables = tables
        self._settings = settings

    def channel(self, where: str, table: dict[str, Any]) -> Channel | None:
        """The channel of this table; None where it has faults."""
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            words = "it is missing" if kind is None else f"there is no such kind{_meant(kind)}"
            self._tables.fault(where, "kind", f"{words}: {_kinds()} are there")
            return None
        read = self._tables.table(where, KINDS[kind], table)
        if read is None:
            return None
        before = len(self._tables.faults)
        if isinstance(read, _WebhookChannel):
            receiver: Receiver | None = self._webhook(where, read)
        elif isinstance(read, _AppriseChannel):
            given = (read.url, read.url_file)
            receiver = self._secret(where, "url", given, None, None, check_apprise_url)
        else:
            assert isinstance(read, _TelegramChannel)
            receiver = self._telegram(where, read)
        digest = self._tables.value(where, "digest", _window, read.digest) if read.digest else None
        quiet = self._tables.value(where, "quiet", QuietHours.parse, read.quiet) if read.quiet else None
        if len(self._tables.faults) > before or receiver is None:
            return None
        return Channel(read.name, Timing(digest, quiet), receiver)

    def _webhook(self, where: str, read: _WebhookChannel) -> Webhook | None:
        allowed = self._tables.value(where, "allow", Allowed.parse, read.allow) or Allowed()
        self._tables.value(where, "url", lambda url: check_url(url, allowed), read.url)
        given, parse = (read.secret, read.secret_file), parse_secrets
        keys = self._secret(where, "secret", given, "WEBHOOK_SECRET", self._settings.webhook_secret, parse)
        return Webhook(read.url, keys, allowed) if keys is not None else None

    def _telegram(self, where: str, read: _TelegramChannel) -> TelegramChat | None:
        chat_id = self._tables.value(where, "chat_id", _chat_id, read.chat_id)
        given, parse = (read.token, read.token_file), check_token
        token = self._secret(where, "token", given, "TELEGRAM_TOKEN", self._settings.telegram_token, parse)
        if token is None or chat_id is None:
            return None
        return TelegramChat(token, chat_id, read.thread_id, self._settings.telegram_api)

    def _secret(
        self,
        where: str,
        key: str,
        given: tuple[str | None, str | None],
        variable: str | None,
        of_environment: SecretStr | None,
        parse: Callable[[str], Secret],
    ) -> Secret | None:
        """From the table, else from the file that it names, else from the variable of the environment."""
        here, file = given
        if here is not None and file is not None:
            self._tables.fault(where, f"{key}_file", f"`{key}` is there, too: keep one of them")
            return None
        if here is not None:
            return self._tables.value(where, key, parse, here)
        if file is not None:
            return self._tables.value(where, f"{key}_file", partial(_in_file, parse), file)
        if of_environment is None:
            words = f"give `{key}` or `{key}_file`" + (f", or set TOWPATH_{variable}" if variable else "")
            self._tables.fault(where, key, words)
            return None
        return self._tables.value(where, f"TOWPATH_{variable}", parse, of_environment.get_secret_value())


def _in_file(parse: Callable[[str], Secret], path: str) -> Secret:
    return parse(read_private(Path(path)))


def _window(text: str) -> timedelta:
    length = seconds(text, LONGEST_DIGEST_SECONDS)
    if length <= 0:
        raise ValueError("a window of no length collects nothing: leave it out")
    return timedelta(seconds=length)


def _chat_id(given: int | str) -> ChatId:
    """A number other than zero (groups have negative ones), or the name of a public channel."""
    if isinstance(given, int) and given:
        return given
    if (
        isinstance(given, str)
        and given[:1] == "@"
        and given[1:].replace("_", "").isalnum()
        and given.isascii()
    ):
        return given
    if isinstance(given, str) and given.strip().lstrip("-").isdecimal():
        raise ValueError(f"write it as a number, without quotes: chat_id = {given.strip()[:32]}")
    raise ValueError(
        'write the chat\'s number, or "@name" of a public channel; '
        "`towpath notifier init FILE --telegram` finds it"
    )


def _kinds() -> str:
    *first, last = (f"`{kind}`" for kind in sorted(KINDS))
    return f"{', '.join(first)} and {last}"


def _meant(kind: object) -> str:
    return did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
