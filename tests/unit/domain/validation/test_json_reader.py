"""JSON of other programs: read where there is one way to read it."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.protocol import MAX_HELD, Heartbeat, Submission
from domain.runners.heartbeat_validation import ArrivedBeat, Fault, examine_beat
from domain.validation.json_reader import NotJson, is_no_json, parsed, read_bounded, read_json, sendable
from tests.unit.domain.samples import TASK_ID

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
BEAT = {"runner_id": "r1", "pools": ["default"], "host": "h", "capacity": 2, "counter": 7}
SUBMISSION = {
    "task_id": TASK_ID, "attempt": 1, "title": "t", "command": ["true"], "execution_mode": "no-workspace"
}  # fmt: skip


@given(VALUES, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]), st.booleans())
def test_every_value_is_read_in_every_encoding(value: Any, encoding: str, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode(encoding, "surrogatepass")
    if ascii_only:
        assert read_json(body) == value
    json.dumps(sendable(read_json(body)), allow_nan=False, ensure_ascii=False).encode()


@given(st.binary(max_size=100))
def test_anything_else_is_no_json(body: bytes) -> None:
    with contextlib.suppress(NotJson):
        json.dumps(sendable(read_json(body)), allow_nan=False, ensure_ascii=False).encode()


def test_the_last_of_two_values_counts_in_either_reader() -> None:
    twice = (
        b'{"runner_id": "a", "runner_id": "r1", "pools": ["p"], "host": "%s", "capacity": 1, "counter": 1}'
    )
    for host in (b"h", rb"\ud800"):
        assert parsed(Heartbeat, twice % host).runner_id == "r1"


def test_numbers_without_end_are_no_numbers() -> None:
    assert math.isnan(read_json(b"NaN"))
    assert read_json(b"9" * 9000) == math.inf
    assert sendable(read_json(b"[NaN, -Infinity, 1]")) == ["nan", "-inf", 1]


def test_a_depth_that_exhausts_the_parser_is_refused() -> None:
    with pytest.raises(NotJson, match="deeply"):
        read_json(b"[" * 200_000)


@pytest.mark.parametrize(
    ("host", "kept"),
    [(r'"bo\ud83d"', "bo\ufffd"), (f'"{"h" * 300}"', "h" * 254 + "…"), (r'"a\u0000"', "a\ufffd")],
)
def test_a_heartbeat_is_not_lost_over_the_name_of_its_host(host: str, kept: str) -> None:
    body = json.dumps(BEAT).replace('"h"', host).encode()
    for form in (body, b"\xef\xbb\xbf" + body, body.decode().encode("utf-16")):
        beat = examine_beat(ArrivedBeat("r1", form, "towpath.runner.r1"))
        assert not isinstance(beat, Fault)
        assert beat.host == kept


@pytest.mark.parametrize(
    "change",
    [
        {"command": ["a\x00"]}, {"command": ["a\ud800"]}, {"env": {"A": "\x00"}},
        {"timeout_seconds": math.nan}, {"timeout_seconds": math.inf},
    ],
)  # fmt: skip
def test_a_submission_is_never_changed_in_what_is_executed(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(Submission, json.dumps({**SUBMISSION, **change}).encode())
    cleaned = parsed(Submission, json.dumps({**SUBMISSION, "title": "\ude00 built"}).encode())
    assert cleaned.title == "\ufffd built"


MANY = 50_000


@pytest.mark.parametrize(
    "body",
    [
        b"{%s}" % b",".join(b'"k%d": 1' % number for number in range(MANY)),
        b'{"runner_id": {%s}}' % b",".join(b'"k%d": 1' % number for number in range(MANY)),
        b'{"held": [%s]}' % b",".join([b"[[]]"] * MANY),
        b'{"held": [{%s}]}' % b",".join(b'"k%d": 1' % number for number in range(MANY)),
    ],
    ids=["names", "names further down", "lists", "names in a list"],
)
def test_parts_by_the_ten_thousand_are_one_error_and_not_one_each(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        parsed(Heartbeat, body)
    assert caught.value.error_count() == 1
    assert is_no_json(caught.value)
    with pytest.raises(NotJson, match="more than"):
        read_bounded(body)


def test_brackets_in_texts_are_no_lists() -> None:
    text = '[{"\\' * MANY
    assert read_bounded(json.dumps({"output_tail": text}).encode()) == {"output_tail": text}


def test_a_heartbeat_with_all_it_may_hold_is_read() -> None:
    held = [{"task_id": str(number), "attempt": 1} for number in range(MAX_HELD)]
    beat = {"runner_id": "r1", "pools": ["p"], "host": "h", "capacity": 1, "counter": 1, "held": held}
    assert read_bounded(json.dumps(beat).encode()) == beat


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_byte_that_is_no_text_makes_no_other_command(encoding: str) -> None:
    """Replaced, it would be another path, and two paths could become one."""
    bad = b"\xe9" if encoding == "utf-8" else b"\x00\xd8"
    body = json.dumps({**SUBMISSION, "command": ["cat", "caf?"]}).encode(encoding)
    with pytest.raises(ValidationError, match="surrogate"):
        parsed(Submission, body.replace("?".encode(encoding), bad))
    title = json.dumps({**SUBMISSION, "title": "caf?"}).encode(encoding)
    assert parsed(Submission, title.replace("?".encode(encoding), bad)).title == "caf\ufffd"
