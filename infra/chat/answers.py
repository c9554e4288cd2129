"""Answers: what the bot says, with buttons or parts that are shown as they are."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from domain.chat.cards import Card, Rows
from domain.chat.text import MOST_UNITS, cut, units

Fixed = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A message to send. `rows`: buttons, whose meaning is `card`; `fixed`: as in `Shown`.

    `force_reply`: it opens the input field, for a reply that `card` waits for.
    """

    text: str
    card: Card | None = None
    rows: Rows | None = None
    fixed: Fixed = ()
    force_reply: bool = False


def answer(text: str, card: Card | None = None, rows: Rows | None = None) -> Answer:
    """An answer that is not too long."""
    return Answer(cut(text), card, rows)


def with_output(head: str, output: str, tail: str = "") -> Answer:
    """`head`, then output as it is, then `tail`; all of it fits, if `output` is short enough."""
    if not output:
        return answer(f"{head}\n{tail}".rstrip())
    text = f"{head}\n{output}\n{tail}".rstrip() if tail else f"{head}\n{output}"
    assert units(text) <= MOST_UNITS
    return Answer(text, fixed=((units(head) + 1, units(output)),))


def new_card_id() -> str:
    """A nonce of 16 characters, which cannot be guessed."""
    return secrets.token_urlsafe(12)
