"""What leaves the host is the end of the output, without a trace of the secrets."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.protocol import OUTPUT_TAIL_BYTES
from runner.attempts.redaction import output_tail, redact


def test_masks_every_secret_the_longest_first() -> None:
    assert redact("key=abcdef abc", ["abc", "abcdef"]) == "key=[redacted] [redacted]"


def test_leaves_very_short_values_alone() -> None:
    assert redact("1 of 10", ["1", "10", ""]) == "1 of 10"


def test_tail_is_the_end(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"a" * 20_000 + b"end")
    tail = output_tail(file, [])
    assert tail is not None
    assert len(tail) == OUTPUT_TAIL_BYTES
    assert tail.endswith("aend")


def test_no_part_of_a_secret_at_the_cut(tmp_path: Path) -> None:
    secret = "s3cr3t-" * 10
    file = tmp_path / "out"
    for shift in range(len(secret) + 2):
        file.write_text("x" * 5000 + secret + "y" * (OUTPUT_TAIL_BYTES - shift))
        assert "3cr" not in (output_tail(file, [secret]) or "")


def test_no_output_is_none(tmp_path: Path) -> None:
    assert output_tail(tmp_path / "missing", ["abc"]) is None
    (tmp_path / "empty").touch()
    assert output_tail(tmp_path / "empty", []) is None


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"\xff\xfeabc")
    assert output_tail(tmp_path / "out", []) == "\ufffd\ufffdabc"


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


def test_an_overlap_at_the_cut_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "out"
    secrets = ["first-half-", "half-second-half", "key\nline-of-a-key"]
    for shift in range(20):
        tail = b"first-half-second-half line-of-a-key"
        file.write_bytes(b"x" * 100 + tail + b"y" * (OUTPUT_TAIL_BYTES - shift))
        shown = output_tail(file, secrets) or ""
        assert not set("firsthalfcondkey-") & set(shown.replace("[redacted]", "").replace("y", "")), shown


def test_many_lines_do_not_take_long(tmp_path: Path) -> None:
    value = "\n".join(f"l{number:05}" for number in range(60_000))
    (tmp_path / "out").write_text("x" * 600_000 + " l00007 l59999\n")
    assert (output_tail(tmp_path / "out", [value]) or "").endswith("x [redacted] [redacted]\n")


def test_secrets_within_each_other_cost_what_stands_there_once(tmp_path: Path) -> None:
    value = "\n".join("a" * number for number in range(3, 900))
    (tmp_path / "out").write_text("a" * 200_000 + "\n")
    tracemalloc.start()
    try:
        assert output_tail(tmp_path / "out", [value]) == "[redacted]"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


@settings(max_examples=300, deadline=None)
@given(st.text("abc", max_size=40), st.lists(st.text("abc", min_size=3, max_size=6), max_size=6))
def test_every_letter_of_a_secret_is_masked_and_no_other(text: str, secrets: list[str]) -> None:
    places = {at + n for one in secrets for at in _found(text, one) for n in range(len(one))}
    shown = "".join(letter for at, letter in enumerate(text) if at not in places)
    assert redact(text, secrets).replace("[redacted]", "") == shown


def _found(text: str, one: str) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(one, at)]
