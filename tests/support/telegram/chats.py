"""Chats of the fake Bot API, and what Telegram makes of a text that is sent without markup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_UNITS = 4096
_LINKS = re.compile(
    r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@\w+)?"  # commands
    r"|(?<!\w)@[A-Za-z0-9_]{2,32}"  # mentions
    r"|(?<!\w)#\w+|(?<!\w)\$[A-Z]{1,8}\b"  # tags
    r"|[^\s\u2060]+://[^\s\u2060/:]+(?::\d+)?(?:/\S*)?"  # links
    r"|[\w.+-]+@[\w-]+\.[A-Za-z]{2,}"  # mail
    r"|(?<![\w@.])(?:(?:[\w-]|[^\x00-\x7f\s\u2060])+\.)+"  # hosts: letters, marks and emoji
    r"(?:com|org|net|io|dev|example|sh|py|de|app|zip|la)\b(?:[:/]\S*)?"
    r"|(?<!\w)(?:\d{1,3}\.){3}\d{1,3}\b"
    r"|(?<!\w)\+\d[\d ()-]{6,}"  # telephones
)


def units(text: str) -> int:
    """Its length in UTF-16 units, as Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


@dataclass
class SentMessage:
    """A message in a chat; `texts`: what it has said, the last one now. `calls`: how it came about."""

    id: int
    texts: list[str]
    buttons: dict[str, str]
    reply_to: int | None
    thread_id: int | None
    silent: bool
    force_reply: bool
    fixed: list[str]
    links: list[str]

    @property
    def text(self) -> str:
        """What it says now."""
        return self.texts[-1]


@dataclass
class FakeChat:
    """A chat with the bot. `refuses`: the description of the 400 or 403 that every request to it gets."""

    id: int
    kind: str = "private"
    title: str = "ann"
    refuses: tuple[int, str] | None = None
    moved_to: int | None = None
    messages: dict[int, SentMessage] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """What each message says now, in the order of sending."""
        return [one.text for one in self.messages.values()]

    @property
    def last(self) -> SentMessage:
        """The newest message."""
        return list(self.messages.values())[-1]

    def as_json(self) -> dict[str, Any]:
        """As in updates."""
        name = "first_name" if self.kind == "private" else "title"
        return {"id": self.id, "type": self.kind, name: self.title}


def read_text(given: Mapping[str, Any]) -> tuple[str, list[str], list[str]]:
    """Text of a request, its fixed parts, and what Telegram would make a link. ValueError: it refuses it."""
    text = str(given.get("text", ""))
    if given.get("parse_mode"):
        raise ValueError("the client never asks for markup")
    if not text.strip():
        raise ValueError("message text is empty")
    if units(text) > MOST_UNITS:
        raise ValueError("message is too long")
    coded, fixed, open_parts = text.encode("utf-16-le"), list[str](), list[str]()
    at = 0
    for entity in given.get("entities", []):
        begin, end = entity["offset"], entity["offset"] + entity["length"]
        if entity["type"] != "pre" or not at <= begin < end <= len(coded) // 2:
            raise ValueError("entity is out of place")
        fixed.append(coded[2 * begin : 2 * end].decode("utf-16-le"))
        open_parts.append(coded[2 * at : 2 * begin].decode("utf-16-le"))
        at = end
    open_parts.append(coded[2 * at :].decode("utf-16-le"))
    return text, fixed, [found for part in open_parts for found in _LINKS.findall(part)]


def buttons_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Data by label. ValueError: Telegram refuses them."""
    found = dict[str, str]()
    for row in given.get("reply_markup", {}).get("inline_keyboard", []):
        for button in row:
            if not 1 <= len(button["callback_data"].encode()) <= 64:
                raise ValueError("BUTTON_DATA_INVALID")
            found[button["text"]] = button["callback_data"]
    return found
