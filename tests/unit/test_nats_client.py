"""The faster header parser answers what nats-py's own does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from adapters.nats_client import HeaderClient

GOLDEN = Path(__file__).parents[1] / "golden"
LINE = st.text(alphabet=st.sampled_from('aB-1 :\tä€"\\%'), max_size=12)


def both(raw: bytes) -> tuple[dict[str, str], dict[str, str]]:
    return HeaderClient._parse_header_lines(raw), Client._parse_header_lines(raw)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_headers_of_every_event(path: Path) -> None:
    headers = json.loads(path.read_text())["headers"]
    raw = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    ours, theirs = both(raw + b"\r\n")
    assert ours == theirs == headers


@given(st.lists(LINE, max_size=6))
def test_any_lines(lines: list[str]) -> None:
    ours, theirs = both("\r\n".join(lines).encode())
    assert ours == theirs


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"a:b", b"a:\xff\xfe\r\nb: c", b"x\r\n\r\n"])
def test_odd_blocks(raw: bytes) -> None:
    ours, theirs = both(raw)
    assert ours == theirs
