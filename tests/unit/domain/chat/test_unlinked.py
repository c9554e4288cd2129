"""Text for Telegram: nothing of a task becomes a link, and nothing is longer than it takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chat.text import JOINER, MORE, cut, units, unlinked
from tests.support.telegram.chats import _LINKS
from tests.support.telegram.chats import units as utf16


@pytest.mark.parametrize(
    "text",
    [
        "/cancel now", "(/run@bot x)", "@everyone look", "mail ann@example.org", "#deploy $TSLA",
        "see https://evil.example/x?y=z", "evil.com/x", "tg://resolve?domain=x", "at 10.0.0.1:80",
        "call +49 30 1234567", "file main.py and build.sh", "a/b/c", "http://localhost:8000", "x.co.uk",
        "💩.la", "a\u0301.com", "see a.💩.la/x", "💩://💩.y/x", "(-://x)",
    ],
)  # fmt: skip
def test_nothing_becomes_a_link_and_all_looks_the_same(text: str) -> None:
    shown = unlinked(text)
    assert _LINKS.findall(shown) == []
    assert shown.replace(JOINER, "") == text


@given(st.text(alphabet="ab1/@#$.:+- \n😀é_", max_size=60))
def test_no_text_becomes_a_link(text: str) -> None:
    assert _LINKS.findall(unlinked(text)) == []


def test_what_is_no_link_stays_as_it_is() -> None:
    text = "failed: deploy shop (acme, host-1, after 3s) at 2026-03-01 12:00:00Z 5% of 1,000; a - b."
    assert unlinked(text) == text
    text = 'Done. Next… (see main.) "so." a...'
    assert unlinked(text) == text


@given(st.text(alphabet="a 😀\n\u0301\u200d\ufe0f👩", max_size=80), st.integers(0, 90))
def test_a_cut_is_never_too_long_and_never_inside_a_character(text: str, most: int) -> None:
    shown = cut(text, most)
    assert units(shown) == utf16(shown) <= most
    if shown != text and most:
        assert shown.endswith(MORE)
        kept = shown.removesuffix(MORE)
        assert text.startswith(kept)
        assert not kept or text[len(kept)] not in "\u0301\u200d\ufe0f"
    shown.encode()


def test_a_cut_is_at_a_space_if_one_is_near() -> None:
    assert cut("one two three four", 16) == "one two three…"
    assert cut("x" * 20, 10) == "x" * 9 + MORE
    assert cut("😀" * 5, 4) == "😀" + MORE
