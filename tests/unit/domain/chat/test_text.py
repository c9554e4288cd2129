"""Texts keep to what Telegram takes, and nothing in them becomes a link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chat.cards import Card, choice_rows, chosen, pressed, refusal, with_outcome
from domain.chat.people import User
from domain.chat.text import MOST_UNITS, age, cut, inert, last_lines, one_line, printed, units
from tests.support.telegram.chats import read_text
from tests.support.telegram.chats import units as units_of_telegram

ANY = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)


@given(ANY, st.integers(1, 60))
def test_texts_are_cut_as_telegram_counts(text: str, most: int) -> None:
    assert units(text) == units_of_telegram(text)
    for shorter in (cut(text, most), last_lines(text, 5, most)):
        assert units_of_telegram(shorter) <= most
    if units(text) <= most:
        assert cut(text, most) == text


@given(ANY, ANY)
def test_an_outcome_is_never_cut_off(text: str, outcome: str) -> None:
    whole = with_outcome(text * 40, outcome, MOST_UNITS)
    assert whole.endswith(f"→ {outcome}")
    assert units_of_telegram(whole) <= MOST_UNITS


LINKS = (
    "@ann",
    "/cancel_all",
    "#tag",
    "$USD",
    "http://a.example/x",
    "me@a.io",
    "evil.com",
    "1.2.3.4",
    "+49 30 1234567",
)


@given(st.lists(st.sampled_from([*LINKS, "x", " ", "\n", "(", "。", "-"]), min_size=1).map("".join))
def test_nothing_becomes_a_link(text: str) -> None:
    shown = f"x {inert(text)}"
    assert read_text({"text": shown})[2] == []
    assert shown.replace("\u2060", "") == f"x {text}"


def test_output_loses_its_colours_and_keeps_its_lines() -> None:
    assert printed("\x1b[31mred\x1b[0m\r\n10%\r20%\x07\n") == "red\n10%\n20%\ufffd\n"
    assert one_line(" a\n\tb ", 10) == "a b"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-3, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (11100, "3h 5m"), (187200, "2d 4h")],
)
def test_lengths_of_time(seconds: float, expected: str) -> None:
    assert age(seconds) == expected


@given(st.lists(st.text(min_size=1, max_size=64), min_size=1, max_size=8, unique=True), st.text(max_size=70))
def test_each_choice_has_a_button_and_other_presses_choose_nothing(choices: list[str], sent: str) -> None:
    card = Card("x" * 16, "question", options=tuple(choices))
    actions = [action for row in choice_rows(choices) for label, action in row if label]
    assert [chosen(card, action) for action in actions] == choices
    assert chosen(card, pressed(sent)[1]) in (None, *choices)


def test_a_card_refuses_who_may_not_press_it() -> None:
    card = Card("x", "cancel", user_id=1)
    assert refusal(card, User(1, "ann", "operator"), "operator") is None
    assert "you may only look" in (refusal(card, User(1, "ann", "viewer"), "operator") or "")
    assert "for who sent the command" in (refusal(card, User(2, "bob", "admin"), "operator") or "")
