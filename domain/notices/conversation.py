"""Conversations: what a chat shows about one task or runner, and how the next notice about it is shown.

One message a task is edited as the task goes on, without sound. What comes with sound (a failure, a question,
what needs an operator) is a new message that answers the first one, since people are told of no edit. So is,
without sound, the end of what came with sound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from domain.notices.message import Message
from domain.notices.rules import (
    AWAITING_OPERATOR,
    DEAD_LETTER,
    RECOVERED,
    RUNNER_LOST,
    RUNNER_SUSPECTED,
)

LOUD = frozenset({"failed", "submit-failed", "asked", RUNNER_LOST, AWAITING_OPERATOR, DEAD_LETTER})
"""What comes with sound: failures, questions, and what needs an operator."""
MOST_NAMES = 8
_ABOUT_RUNNERS = frozenset({RUNNER_SUSPECTED, RUNNER_LOST, RECOVERED})


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages about one topic, by their ids: the first one, the one that is edited, the last with sound.

    `names`: what was told last, in order.
    """

    first: int | None = None
    edited: int | None = None
    loud: int | None = None
    names: tuple[str, ...] = ()


NEW = Conversation()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a notice is shown: `edit` this message, then `send` a new one that answers `reply_to`."""

    before: Conversation
    edit: int | None
    send: bool
    reply_to: int | None
    silent: bool

    def without_edit(self) -> Plan:
        """The plan where the message to edit is gone: a new one takes its place."""
        before = replace(self.before, edited=None)
        return replace(self, before=before, edit=None, send=True)


def topic_of(message: Message) -> str | None:
    """What the message is about, where further messages may be about the same."""
    notice = message.notice
    if notice.task is not None:
        return f"task {notice.task.id}"
    if notice.runner_id is not None and _name(message) in _ABOUT_RUNNERS:
        return f"runner {notice.runner_id}"
    return None


def plan(message: Message, before: Conversation) -> Plan:
    """How to show `message` in a chat that shows `before` about its topic."""
    name = _name(message)
    if before.names[-1:] == (RECOVERED,) and name in _ABOUT_RUNNERS - {RECOVERED}:
        before = NEW  # the runner is silent once more, which is another story
    if name in LOUD or any(group in LOUD for group in _names_in(message)):
        return Plan(before, before.edited, send=True, reply_to=before.first, silent=False)
    if _ends_loud(message):
        return Plan(before, before.edited, send=True, reply_to=before.loud or before.first, silent=True)
    return Plan(before, before.edited, send=before.edited is None, reply_to=before.first, silent=True)


def after(message: Message, done: Plan, sent: int | None) -> Conversation:
    """What the chat shows now; `sent`: the id of the new message, if there was one."""
    before = done.before
    names = (*before.names, _name(message))[-MOST_NAMES:]
    if sent is None:
        return replace(before, names=names)
    told_apart = not done.silent or _ends_loud(message)
    return Conversation(
        first=before.first or sent,
        edited=before.edited if told_apart else sent,
        loud=before.loud if done.silent else sent,
        names=names,
    )


def _name(message: Message) -> str:
    """Without the duration of a condition."""
    return message.notice.name.partition(" ")[0]


def _names_in(message: Message) -> list[str]:
    """Of a digest, the names of what it tells."""
    return [str(group["name"]).partition(" ")[0] for group in message.data.get("groups", ())]


def _ends_loud(message: Message) -> bool:
    began = str(message.data.get("began", "")).partition(" ")[0]
    return _name(message) == RECOVERED and began in LOUD
