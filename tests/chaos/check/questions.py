"""Item 2, of questions: one is open at a time, each has one answer, which it offers, and none is made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from tests.chaos.raw_log import Fact

if TYPE_CHECKING:
    from tests.chaos.check.lives import Life


def question_faults(before: Life, fact: Fact) -> Iterator[str]:
    """What is wrong with an `asked` or an `answered`."""
    data, asked = fact.data, before.question
    if fact.name == "asked":
        if asked is not None:
            yield f"asked while {asked.data['question_id']} was open"
        if data["question_id"] in before.asked:
            yield f"{data['question_id']} was asked before"
        return
    if asked is None or asked.data["question_id"] != data["question_id"]:
        yield f"{data['question_id']} was answered, but it was not open"
        return
    question, choice, text = asked.data, data["choice"], data["text"]
    offered = choice in (question["choices"] or ()) if text is None else question["free_text"]
    if not offered or (choice is not None and text is not None):
        yield f"{choice or text!r} answers {data['question_id']}, which does not offer it"
    if data["cause"] != "expired":
        return
    if question["default"] != (choice or text):
        yield f"{choice or text!r} is not the default {question['default']!r} that counts once it expires"
    expires = question["expires_at"]
    if expires is None or fact.time < datetime.fromisoformat(expires).timestamp():
        yield f"{data['question_id']} was answered as expired before its time was over"
