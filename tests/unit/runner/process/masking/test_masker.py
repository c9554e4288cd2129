"""What is stored of an output holds no trace of the secrets, whatever the pieces it came in."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.process.masking.masker import FEW, MOST_PLACES, Masker


def masked(pieces: Iterable[bytes], secrets: list[str]) -> bytes:
    masker = Masker(secrets)
    return b"".join([*(masker.feed(piece) for piece in pieces), masker.finish()])


def redact(text: str, secrets: list[str]) -> str:
    return masked([text.encode()], secrets).decode()


def test_masks_every_secret_the_longest_first() -> None:
    assert redact("key=abcdef abc", ["abc", "abcdef"]) == "key=[redacted] [redacted]"


def test_leaves_very_short_values_alone() -> None:
    assert redact("1 of 10", ["1", "10", ""]) == "1 of 10"


@pytest.mark.parametrize("given", [["abcdef", "defghi"], ["defghi", "abcdef"], ["abcde", "cdefg", "efghi"]])
def test_values_that_overlap_are_masked_together(given: list[str]) -> None:
    assert redact("<abcdefghi>", given) == "<[redacted]>"


def test_a_value_that_overlaps_with_itself() -> None:
    assert redact("ababababa!", ["ababa"]) == "[redacted]!"


def test_values_side_by_side_are_two() -> None:
    assert redact("abcdef", ["abc", "def"]) == "[redacted][redacted]"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_each_line_of_a_value(ends: str) -> None:
    key = "-----BEGIN KEY-----\n  MIIEvQIBADAN\nBgkqhkiG9w0\n-----END KEY-----\n"
    shown = redact(ends.join(["say MIIEvQIBADAN.", "BgkqhkiG9w0", "x"]), [key])
    assert shown == ends.join(["say [redacted].", "[redacted]", "x"])


@pytest.mark.parametrize("value", ["s3cret\n", "s3cret\r\n", " s3cret ", "\ts3cret"])
def test_a_value_without_the_white_space_around_it(value: str) -> None:
    assert redact("the s3cret.", [value]) in ("the [redacted].", "the[redacted].")


def test_a_value_as_it_stands_in_json() -> None:
    value = 'quo"te\\käse'
    for text in (json.dumps({"a": value}), json.dumps({"a": value}, ensure_ascii=False)):
        assert redact(text, [value]) == '{"a": "[redacted]"}'


def test_many_lines_do_not_take_long() -> None:
    value = "\n".join(f"l{number:05}" for number in range(60_000))
    assert redact("x" * 600_000 + " l00007 l59999\n", [value]).endswith("x [redacted] [redacted]\n")


def test_secrets_within_each_other_cost_what_stands_there_once() -> None:
    value = "\n".join("a" * number for number in range(3, 900))
    tracemalloc.start()
    try:
        shown = masked((b"a" * 65536 for _ in range(3)), [value])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shown == b"[redacted]"
    assert peak < 20 << 20


LETTERS = st.text("abc", max_size=40)
SECRETS = st.lists(st.text("abc", min_size=3, max_size=6), max_size=6)


@settings(max_examples=300, deadline=None)
@given(LETTERS, SECRETS)
def test_every_letter_of_a_secret_is_masked_and_no_other(text: str, secrets: list[str]) -> None:
    places = {at + n for one in secrets for at in _found(text, one) for n in range(len(one))}
    shown = "".join(letter for at, letter in enumerate(text) if at not in places)
    assert redact(text, secrets).replace("[redacted]", "") == shown


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text("abc", max_size=9), max_size=9), SECRETS)
def test_the_pieces_make_no_difference(pieces: list[str], secrets: list[str]) -> None:
    whole = redact("".join(pieces), secrets)
    assert masked([one.encode() for one in pieces], secrets).decode() == whole


@settings(max_examples=300, deadline=None)
@given(LETTERS, SECRETS)
def test_many_secrets_are_looked_for_otherwise_with_the_same_result(text: str, secrets: list[str]) -> None:
    others = [f"other{number:03}" for number in range(FEW + 1)]
    assert redact(text, [*secrets, *others]) == redact(text, secrets)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=9), max_size=9), SECRETS)
def test_what_is_shown_so_far_is_a_beginning_of_the_whole(pieces: list[str], secrets: list[str]) -> None:
    whole, masker, shown = redact("".join(pieces), secrets), Masker(secrets), b""
    for piece in pieces:
        shown += masker.feed(piece.encode())
        assert whole.startswith(shown.decode())


def test_only_what_may_become_a_secret_is_held_back() -> None:
    masker = Masker(["s3cret"])
    assert masker.feed(b"a line\n") == b"a line\n"
    assert masker.feed(b"no s3c") == b"no "
    assert masker.feed(b"ond s") == b"s3cond "
    assert masker.feed(b"3cret.") == b"[redacted]."
    assert masker.feed(b"s3cre") == b""
    assert masker.finish() == b"s3cre"


def test_an_endless_secret_is_one_mask_and_takes_no_memory() -> None:
    masker = Masker(["ababab"])
    shown = b"".join(masker.feed(b"ab") for _ in range(10_000))
    assert shown == b"[redacted]"
    assert len(masker._held) < 6


def test_too_many_secrets_in_one_piece_hide_all_of_it() -> None:
    assert redact("abc." * (MOST_PLACES + 1), ["abc"]) == "[redacted]"


def test_a_long_beginning_that_is_repeated_does_not_take_long() -> None:
    secret = "a" * 50_000 + "b"
    assert redact("a" * 49_000 + "c", [secret]) == "a" * 49_000 + "c"


def _found(text: str, one: str) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(one, at)]
