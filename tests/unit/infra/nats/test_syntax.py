"""Strings for a nats-server configuration are plain ASCII, and stand for the bytes of what was given."""

from __future__ import annotations

import os
import re

from hypothesis import given
from hypothesis import strategies as st

from infra.nats.syntax import nats_string

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@given(TEXT)
def test_nothing_ends_the_string_or_is_lost(text: str) -> None:
    written = nats_string(text)
    assert written.isascii()
    assert written.isprintable()
    inner = written[1:-1]
    assert re.fullmatch(r"(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*", inner)
    read = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), inner.encode())
    assert read == os.fsencode(text)
