"""Updates: what people did in chats, as far as a bot is told: messages, and presses of buttons.

Everything in an update comes from strangers. What is malformed or of another kind keeps its id alone, so that
it can be acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("message", "callback_query")
"""The kinds of updates that are asked for."""
_NOT_OWN = frozenset(("forward_origin", "forward_date", "is_automatic_forward", "via_bot"))
"""Members of a message that somebody else has written."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user. `name`: the user name, else the first name; people choose both, so it proves nothing."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Chat:
    """Where something was said. `kind`: `private`, `group`, `supergroup` or `channel`."""

    id: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message to the bot. `thread_id`: the topic of a forum; `reply_to`: the message that it answers.

    `sender` is None for posts of a channel, for anonymous administrators and for other bots. `forwarded`: its
    text is not of who sent it.
    """

    id: int
    chat: Chat
    sender: Person | None
    text: str
    thread_id: int | None = None
    reply_to: int | None = None
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Press:
    """A button was pressed. `chat` and `message_id` are None where the message is too old."""

    id: str
    sender: Person
    data: str
    chat: Chat | None
    message_id: int | None


@dataclass(frozen=True, slots=True)
class Update:
    """What happened, under a number that rises."""

    id: int
    message: ChatMessage | None = None
    press: Press | None = None


def parse_update(given: Mapping[str, Any]) -> Update:
    """Of an update as Telegram sends it. ValueError: it has no id."""
    id = given.get("update_id")
    if not isinstance(id, int):
        raise ValueError("an update has no id")
    try:
        if "message" in given:
            return Update(id, message=_message(given["message"]))
        if "channel_post" in given:
            return Update(id, message=_message(given["channel_post"]))
        if "callback_query" in given:
            return Update(id, press=_press(given["callback_query"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return Update(id)
    return Update(id)


def _message(given: Mapping[str, Any]) -> ChatMessage:
    answered = given.get("reply_to_message")
    topic = given.get("is_topic_message") is True  # other threads are of replies, and cannot be sent to
    return ChatMessage(
        id=int(given["message_id"]),
        chat=_chat(given["chat"]),
        sender=None if "sender_chat" in given else _human(given.get("from")),
        text=str(given.get("text", "")),
        thread_id=int(given["message_thread_id"]) if topic and "message_thread_id" in given else None,
        reply_to=int(answered["message_id"]) if answered is not None else None,
        forwarded=not _NOT_OWN.isdisjoint(given),
    )


def _press(given: Mapping[str, Any]) -> Press:
    message = given.get("message")
    return Press(
        id=str(given["id"]),
        sender=_person(given["from"]),
        data=str(given.get("data", "")),
        chat=_chat(message["chat"]) if message is not None else None,
        message_id=int(message["message_id"]) if message is not None else None,
    )


def _chat(given: Mapping[str, Any]) -> Chat:
    title = given.get("title") or given.get("username") or given.get("first_name") or ""
    return Chat(int(given["id"]), str(given["type"]), str(title))


def _human(given: Mapping[str, Any] | None) -> Person | None:
    return None if given is None or given.get("is_bot") is True else _person(given)


def _person(given: Mapping[str, Any]) -> Person:
    return Person(int(given["id"]), str(given.get("username") or given.get("first_name") or ""))
