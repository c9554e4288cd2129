"""Cards: what stands behind a message with buttons, or behind one that waits for a reply.

A button sends the card's id, which cannot be guessed, and its own action; what they mean is stored. So a
button acts on the attempt that it was shown for, and never on a later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from domain.chat.people import VIEWER, User
from domain.chat.text import cut, inert
from domain.validation.outside_text import MORE

CONFIRM_WITHIN = timedelta(seconds=60)
REASON_WITHIN = timedelta(minutes=10)
MOST_DATA_BYTES = 64
CHOICES_IN_A_ROW = 2
LONG_CHOICE = 20
LABEL_UNITS = 60
Kind = Literal["question", "cancel", "release", "reason", "task", "pages"]
Rows = list[list[tuple[str, str]]]
"""Rows of buttons: what each shows, and its action."""


@dataclass(frozen=True, slots=True)
class Card:
    """A message's meaning. `user_id`: who alone may press; None: everybody with the role.

    `options`: the choices of a question. `data`: what else the kind needs. `outcome`: None while it is open.
    `edit_due`: it has an outcome that not all of its messages say yet.
    """

    id: str
    kind: Kind
    task_id: str = ""
    attempt: int = 0
    question_id: str = ""
    user_id: int | None = None
    options: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    outcome: str | None = None
    edit_due: bool = False

    def is_over(self, now: datetime) -> bool:
        """Whether its time has passed."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that shows a card. `fixed`: its parts that are shown as they are, as offset and length."""

    chat_id: int | str
    message_id: int
    text: str
    fixed: tuple[tuple[int, int], ...] = ()


def callback_data(card_id: str, action: str) -> str:
    """What a button sends. ValueError: more than Telegram allows."""
    data = f"{card_id}:{action}"
    if len(data.encode()) > MOST_DATA_BYTES:
        raise ValueError(f"a button sends at most {MOST_DATA_BYTES} bytes")
    return data


def pressed(data: str) -> tuple[str, str]:
    """The card's id and the action of what a button sent; it may be anything."""
    card_id, _, action = data.partition(":")
    return card_id, action


def choice_rows(choices: Sequence[str]) -> Rows:
    """A button for each choice; short ones share a row. The action is the choice's number."""
    labels = [(cut(inert(choice), LABEL_UNITS) or MORE, str(at)) for at, choice in enumerate(choices)]
    if any(len(label) > LONG_CHOICE for label, _ in labels):
        return [[one] for one in labels]
    return [labels[at : at + CHOICES_IN_A_ROW] for at in range(0, len(labels), CHOICES_IN_A_ROW)]


def chosen(card: Card, action: str) -> str | None:
    """The choice that a press names; None if the card has no such choice."""
    if not action.isascii() or not action.isdigit() or len(action) > 2:
        return None
    number = int(action)
    return card.options[number] if number < len(card.options) else None


def refusal(card: Card, user: User, role: str) -> str | None:
    """Why the user may not press this, in words; None if the user may."""
    if not user.may(role):
        needs = f"this needs the role {role}"
        return f"{needs}: you are {user.role}" if user.role != VIEWER else f"{needs}: you may only look"
    if card.user_id is not None and card.user_id != user.id:
        return "these buttons are for who sent the command: send it yourself"
    return None


def with_outcome(text: str, outcome: str, most: int) -> str:
    """What the message says once it is decided; the outcome is never cut off."""
    ending = f"\n→ {outcome}"
    return cut(text, most - len(ending.encode("utf-16-le")) // 2) + ending
