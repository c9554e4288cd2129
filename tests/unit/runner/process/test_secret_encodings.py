"""A secret that a command prints encoded is masked, wherever it stands in what was encoded."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.process.masking import Masker
from runner.process.secret_encodings import SHORTEST_ENCODED, encodings

SECRET = "pässwört/+?>~ &1"


def shown(output: bytes, secret: str) -> bytes:
    masker = Masker([secret, *encodings([secret])])
    return masker.feed(output) + masker.finish()


@settings(max_examples=200, deadline=None)
@given(
    before=st.binary(max_size=9),
    after=st.binary(max_size=9),
    secret=st.text(min_size=SHORTEST_ENCODED).filter(lambda text: len(text.strip().encode()) >= 8),
    encode=st.sampled_from([b64encode, urlsafe_b64encode]),
)
def test_base64_at_each_alignment_leaves_less_than_two_characters_at_each_end(
    before: bytes, after: bytes, secret: str, encode: Callable[[bytes], bytes]
) -> None:
    text = encode(before + secret.encode() + after)
    left = shown(text, secret)
    assert b"[redacted]" in left
    begin, end = left.split(b"[redacted]", 1)
    white = len(secret.encode()) - len(secret.strip().encode())
    assert len(text) - len(begin) - len(end) >= (len(secret.encode()) - white) * 8 // 6 - 2


def test_the_user_and_password_of_an_http_header() -> None:
    header = b"Authorization: Basic " + b64encode(b"alice:" + SECRET.encode())
    assert shown(header, SECRET) == b"Authorization: Basic YWxpY2U6[redacted]"


@pytest.mark.parametrize("encode", [quote, quote_plus, lambda text: quote(text, "")])
def test_a_url(encode: Callable[[str], str]) -> None:
    url = f"https://alice:{encode(SECRET)}@example.org"
    assert shown(url.encode(), SECRET) == b"https://alice:[redacted]@example.org"


def test_a_value_with_a_line_end_as_echo_pipes_it() -> None:
    assert shown(b64encode(b"s3cret-value\n") + b"\n", "s3cret-value").startswith(b"[redacted]")
    assert b"[redacted]" in shown(b64encode(b"s3cret-value"), "s3cret-value\n")


def test_short_values_have_no_encoded_forms() -> None:
    assert encodings(["1234567", ""]) == set()
