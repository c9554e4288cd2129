"""Client of Telegram's Bot API: six methods over httpx, plain text only.

The bot's token stands in every URL, and httpx puts URLs into its log lines and its exceptions. So its log
lines about the Bot API are dropped here, and an exception of httpx is never part of one that leaves this
module, not even as its context. Answers are bounded in size and time.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import orjson

from adapters.telegram.errors import (
    BotApiError,
    Conflict,
    MessageGone,
    Refused,
    Throttled,
    Unauthorized,
    Unreachable,
)
from adapters.telegram.updates import KINDS, Update, parse_update

BASE_URL = "https://api.telegram.org"
ANSWER_SECONDS = 15.0
ANSWER_BYTES = 8 << 20
UPDATES_AT_ONCE = 50
MOST_DATA_BYTES = 64
THROTTLED_SECONDS = 5.0
"""How long to wait where a 429 does not say it."""
T = TypeVar("T")
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{10,100}")

Button = tuple[str, str]
"""What it shows, and what a press of it sends, at most 64 bytes."""
Buttons = Sequence[Sequence[Button]]
ChatId = int | str
"""A number, or the `@name` of a public channel."""


class _DropsBotUrls(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "/bot" not in record.getMessage()


logging.getLogger("httpx").addFilter(_DropsBotUrls())


@dataclass(frozen=True, slots=True)
class Fixed:
    """A part of a text that is shown as it is (`pre`), in UTF-16 units: nothing in it becomes a link."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Me:
    """The bot itself. `username` is without `@`."""

    id: int
    username: str


def check_token(token: str) -> str:
    """`token` without surrounding space. ValueError: it cannot be one; the message does not hold it."""
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError("it is no bot token: BotFather gives one such as 123456:ABC-DEF…")
    return token


def bot_id(token: str) -> int:
    """The bot's number, which its token begins with."""
    return int(token.partition(":")[0])


class BotApi:
    """One bot. Methods raise a `BotApiError`; `async with` closes the connections."""

    def __init__(
        self, token: str, base_url: str = BASE_URL, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._root = f"{base_url.rstrip('/')}/bot{token}"
        self._answer_seconds = answer_seconds
        # The environment's proxies tunnel https; by plain http they would read the token.
        tunnels = base_url.startswith("https:")
        self._client = httpx.AsyncClient(
            trust_env=tunnels, timeout=answer_seconds, headers={"user-agent": "towpath"}
        )

    async def __aenter__(self) -> BotApi:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get_me(self) -> Me:
        """Which bot this is."""
        found = await self._call("getMe", {})
        return self._read(lambda: Me(int(found["id"]), str(found.get("username", ""))))

    async def get_updates(
        self, offset: int, wait_seconds: float, *, kinds: Sequence[str] = KINDS
    ) -> list[Update]:
        """The updates from number `offset` on, in their order; waits for the first one.

        Those before `offset` are acknowledged by this, and never come again. 0 acknowledges none.
        """
        given = {
            "offset": offset,
            "timeout": int(wait_seconds),
            "limit": UPDATES_AT_ONCE,
            "allowed_updates": list(kinds),
        }
        found = await self._call("getUpdates", given, wait_seconds)
        return self._read(lambda: [parse_update(one) for one in found])

    async def send_message(
        self,
        chat_id: ChatId,
        text: str,
        *,
        buttons: Buttons | None = None,
        reply_to: int | None = None,
        force_reply: bool = False,
        silent: bool = False,
        thread_id: int | None = None,
        fixed: Sequence[Fixed] = (),
    ) -> int:
        """Send `text` (at most 4,096 UTF-16 units); returns the message's id.

        `reply_to` shows which message it answers, if that is still there. `force_reply` opens the input field
        for an answer; such a message cannot be edited.
        """
        given = _text(chat_id, text, buttons, fixed) | {"disable_notification": silent}
        if force_reply and not buttons:
            given["reply_markup"] = {"force_reply": True, "selective": True}
        if reply_to is not None:
            given["reply_parameters"] = {"message_id": reply_to, "allow_sending_without_reply": True}
        if thread_id is not None:
            given["message_thread_id"] = thread_id
        found = await self._call("sendMessage", given)
        return self._read(lambda: int(found["message_id"]))

    async def edit_message(
        self,
        chat_id: ChatId,
        message_id: int,
        text: str,
        *,
        buttons: Buttons | None = None,
        fixed: Sequence[Fixed] = (),
    ) -> None:
        """Make the message say `text`, with these buttons alone. MessageGone: it cannot be edited."""
        given = _text(chat_id, text, buttons, fixed) | {"message_id": message_id}
        try:
            await self._call("editMessageText", given)
        except Refused as error:
            if "message is not modified" not in str(error):
                raise

    async def answer_callback(self, id: str, text: str = "", *, alert: bool = False) -> bool:
        """Acknowledge a press, with a short text above the chat; False: too late, nothing was shown."""
        given = {"callback_query_id": id, "text": text[:200], "show_alert": alert}
        try:
            await self._call("answerCallbackQuery", given)
        except Refused as error:
            if "query is too old" not in str(error) and "query ID is invalid" not in str(error):
                raise
            return False
        return True

    async def delete_webhook(self) -> None:
        """Let updates be polled; those that wait stay."""
        await self._call("deleteWebhook", {"drop_pending_updates": False})

    async def _call(self, method: str, given: Mapping[str, Any], wait_seconds: float = 0.0) -> Any:
        """The result of a method."""
        failed: BotApiError
        try:
            async with asyncio.timeout(self._answer_seconds + wait_seconds):
                status, body = await self._post(
                    f"{self._root}/{method}", _json(given), self._answer_seconds + wait_seconds
                )
        except TimeoutError:
            failed = Unreachable(
                f"no answer within {self._answer_seconds + wait_seconds:g} seconds", sent=True
            )
        except (httpx.ConnectError, httpx.ProxyError) as error:
            failed = Unreachable(f"no connection ({type(error).__name__})", sent=False)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            failed = Unreachable(f"the request failed ({type(error).__name__})", sent=True)
        else:
            return _result(status, body)
        raise failed  # outside of `except`: what httpx raised names the URL, and would be its context

    async def _post(self, url: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        headers = {"content-type": "application/json"}
        async with self._client.stream("POST", url, content=body, headers=headers, timeout=seconds) as answer:
            got = bytearray()
            async for part in answer.aiter_bytes():
                got += part
                if len(got) > ANSWER_BYTES:
                    raise ValueError("too long")
            return answer.status_code, bytes(got)

    @staticmethod
    def _read(read: Callable[[], T]) -> T:
        try:
            return read()
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise Unreachable("its answer is not one of the Bot API", sent=True)


def _result(status: int, body: bytes) -> Any:
    """What the answer says. Raises a BotApiError."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        if status == 404:
            raise Unauthorized("it answers 404: is this the URL of a Bot API?")
        raise Unreachable(f"it answers {status}, and not as a Bot API does", sent=status < 300)
    if answer["ok"]:
        return answer.get("result")
    code = answer.get("error_code", status)
    parameters = answer.get("parameters")
    raise _error(code, _words(answer.get("description")), parameters if isinstance(parameters, dict) else {})


def _error(code: object, why: str, parameters: Mapping[str, Any]) -> BotApiError:
    if code == 429:
        return Throttled(_retry_after(why, parameters))
    if code in (401, 404):
        return Unauthorized("there is no bot with this token: ask BotFather for the current one")
    if code == 409:
        webhook = "webhook" in why.lower()
        words = "a webhook is set for this bot" if webhook else "another program polls this bot"
        return Conflict(f"{words} ({why})", webhook=webhook)
    if code in (400, 403):
        moved_to = parameters.get("migrate_to_chat_id")
        if isinstance(moved_to, int):
            return Refused(f"the group is now a supergroup: write `chat_id = {moved_to}`", moved_to)
        gone = ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID")
        return (MessageGone if any(one in why for one in gone) else Refused)(why)
    return Unreachable(f"it answers {code}: {why}", sent=False)


def _retry_after(why: str, parameters: Mapping[str, Any]) -> float:
    said = parameters.get("retry_after")
    if not isinstance(said, int | float) or isinstance(said, bool):
        found = re.search(r"retry after ([0-9]{1,6})", why)
        said = float(found[1]) if found else THROTTLED_SECONDS
    return min(max(float(said), 1.0), 86400.0)


def _words(description: object) -> str:
    """A description of Telegram: one short line."""
    text = description if isinstance(description, str) else "no reason given"
    return "".join(char if char.isprintable() else " " for char in text)[:300]


def _text(chat_id: ChatId, text: str, buttons: Buttons | None, fixed: Iterable[Fixed]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "chat_id": chat_id,
        "text": text,
        "link_preview_options": {"is_disabled": True},
    }
    parts = [{"type": "pre", "offset": one.offset, "length": one.length} for one in fixed]
    if parts:
        given["entities"] = parts
    if buttons:
        for _, data in (button for row in buttons for button in row):
            if not 1 <= len(data.encode()) <= MOST_DATA_BYTES:
                raise ValueError(f"a button sends 1 to {MOST_DATA_BYTES} bytes")
        rows = [[{"text": label, "callback_data": data} for label, data in row] for row in buttons]
        given["reply_markup"] = {"inline_keyboard": rows}
    return given


def _json(given: Mapping[str, Any]) -> bytes:
    try:
        body: bytes = orjson.dumps(given)
    except TypeError:  # a lone surrogate, which is no text
        text = given["text"].encode("utf-8", "replace").decode()
        body = orjson.dumps({**given, "text": text})
    return body
