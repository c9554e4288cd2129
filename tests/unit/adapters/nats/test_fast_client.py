"""The faster client reads what nats-py's own does."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nats.errors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.protocol.parser import Parser

from adapters.event_store.codec import decode
from adapters.event_store.reading.lazy_event import LazyEvent
from adapters.nats.fast_client import FastClient
from adapters.nats.message import Arrived
from tests.support.repository import GOLDEN

LINE = st.text(alphabet=st.sampled_from('aB-1 :\tä€"\\%'), max_size=12)


def both(raw: bytes) -> tuple[dict[str, str], dict[str, str]]:
    return FastClient._parse_header_lines(raw), Client._parse_header_lines(raw)


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


class Heard(FastClient):
    """Notes what the parser hands over instead of giving it to subscriptions."""

    def __init__(self, parser: Callable[[FastClient], Parser] | None = None) -> None:
        super().__init__()
        self.heard: list[tuple[object, ...]] = []
        if parser is not None:
            self._ps = parser(self)

    async def _process_msg(self, *message: object) -> None:
        *rest, headers = message
        self.heard.append((*rest, headers or b""))

    async def _process_ping(self) -> None:
        self.heard.append(("ping",))

    async def _process_err(self, err_msg: str) -> None:
        self.heard.append(("err", err_msg))


def message_bytes(subject: str, sid: int, reply: str, headers: bytes, data: bytes) -> bytes:
    words = [subject, str(sid), *([reply] if reply else [])]
    if headers:
        return f"HMSG {' '.join(words)} {len(headers)} {len(headers) + len(data)}\r\n".encode() + (
            headers + data + b"\r\n"
        )
    return f"MSG {' '.join(words)} {len(data)}\r\n".encode() + data + b"\r\n"


SAID = st.one_of(
    st.sampled_from([b"PING\r\n", b"+OK\r\n", b"-ERR 'slow consumer'\r\n"]),
    st.builds(
        message_bytes,
        st.sampled_from(["a.b", "_INBOX.x.1"]),
        st.integers(1, 30),
        st.sampled_from(["", "$JS.ACK.x"]),
        st.sampled_from([b"", b"NATS/1.0\r\na: b\r\n\r\n", b"NATS/1.0 100 Idle\r\n\r\n"]),
        st.binary(max_size=30),
    ),
)


@given(st.lists(SAID, max_size=8), st.lists(st.integers(1, 40), min_size=1, max_size=8))
async def test_messages_however_they_are_cut(said: list[bytes], sizes: list[int]) -> None:
    ours, theirs = Heard(), Heard(Parser)
    stream = b"".join(said)
    cuts = itertools.accumulate(itertools.chain.from_iterable(itertools.repeat(sizes)))
    position = 0
    while position < len(stream):
        end = next(cuts)
        for client in (ours, theirs):
            await client._ps.parse(stream[position:end])
        position = end
    assert ours.heard == theirs.heard
    assert len(ours.heard) == sum(not one.startswith(b"+OK") for one in said)


@given(st.integers(500_000, 2_000_000), st.lists(st.integers(1_000, 100_000), min_size=1, max_size=8))
@settings(max_examples=20)
async def test_the_bytes_of_a_large_message_are_copied_once(size: int, sizes: list[int]) -> None:
    client, stream = Heard(), message_bytes("a.b", 1, "", b"NATS/1.0\r\na: b\r\n\r\n", bytes(size))
    cuts = itertools.accumulate(itertools.chain.from_iterable(itertools.repeat(sizes)))
    position, pieces, copied = 0, 0, 0
    tracemalloc.start()
    try:
        while position < len(stream):
            end = next(cuts)
            piece = stream[position:end]
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            await client._ps.parse(piece)
            copied += tracemalloc.get_traced_memory()[1] - before
            position, pieces = end, pieces + 1
    finally:
        tracemalloc.stop()
    assert [message[3] for message in client.heard] == [bytes(size)]
    assert copied < 1.5 * len(stream) + 4096 * pieces


@pytest.mark.parametrize("said", [b"MSG a b c d e\r\n", b"HMSG a 1 2\r\n", b"x" * 5000, b"NONSENSE\r\n"])
async def test_what_is_not_the_protocol(said: bytes) -> None:
    with pytest.raises(nats.errors.ProtocolError):
        await Heard()._ps.parse(said)


async def test_bytes_of_an_old_connection_are_forgotten() -> None:
    client = Heard()
    await client._ps.parse(b"MSG a 1 5\r\nhel")
    client._ps.reset()
    await client._ps.parse(b"MSG a 1 2\r\nhi\r\n")
    assert [message[3] for message in client.heard] == [b"hi"]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_an_event_read_on_demand_is_the_decoded_one(path: Path) -> None:
    stored = json.loads(path.read_text())
    headers, data = stored["headers"], stored["data"].encode()
    block = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    raw = f"NATS/1.0\r\n{block}\r\n".encode()
    whole = decode(7, stored["subject"], headers, data)
    for message in (
        Arrived(stored["subject"], "", data, raw),
        Arrived(stored["subject"], "", data, b"", headers),
    ):
        lazy = LazyEvent(7, message)
        assert lazy == whole
        assert lazy.as_json() == whole.as_json()


def test_what_is_no_event_is_found_before_it_is_folded() -> None:
    for subject, block in [
        ("towpath.task.x", b"NATS/1.0\r\nce-type: towpath.task.running.v1\r\n\r\n"),
        ("towpath.task.x.running", b"NATS/1.0\r\nce-type: towpath.task.running.v2\r\n\r\n"),
        ("towpath.task.x.running", b""),
    ]:
        with pytest.raises(ValueError, match="at sequence 3"):
            LazyEvent(3, Arrived(subject, "", b"{}", block))
