"""A secret that a command prints encoded is masked, wherever it stands in what was encoded."""

from __future__ import annotations

import os
import shlex
import subprocess
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.process.masking.masker import Masker
from runner.process.masking.secret_encodings import SHORTEST_ENCODED, encodings

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


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_value_of_several_words_and_lines_as_a_shell_joins_them(shell: str) -> None:
    assert traced(shell, "echo $SECRET", "two  words\n\tand lines\nx\n") == (
        "[redacted]",
        "+ echo [redacted]",
    )


def test_a_value_with_apostrophes_as_bash_and_python_quote_it() -> None:
    secret = "it's 'one'"
    assert traced("bash", 'echo "$SECRET"', secret) == ("[redacted]", "+ echo '[redacted]'")
    assert shown(shlex.quote(secret).encode(), secret) == b"'[redacted]'"


def traced(shell: str, command: str, secret: str) -> tuple[str, str]:
    """What a shell with `set -x` prints on stdout and stderr, masked."""
    done = subprocess.run(
        [shell, "-xc", command], env={**os.environ, "SECRET": secret}, capture_output=True, check=True
    )
    out, err = (shown(output, secret).decode().rstrip("\n") for output in (done.stdout, done.stderr))
    return out, err


def test_short_values_have_no_encoded_forms() -> None:
    assert encodings(["1234567", ""]) == set()
