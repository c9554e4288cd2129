"""An end is never lost because of its text; what says whose end it is is never guessed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.protocol import MESSAGE_CHARS, OUTPUT_TAIL_BYTES, REASON_CHARS, Report
from domain.runners.report_reader import LEFT_OUT, read_report

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["\ud83d", "a\udc00\x00b", "x" * 9000, 10**500, -(2**31), 2**32 - 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXTUAL = ("message", "output_tail", "reason", "exit_code", "pid", "started_at", "finished_at", "unknown")


def read(**fields: Any) -> Report:
    return read_report(json.dumps({"status": "failed", "attempt": 1, **fields}).encode())


def stored(report: Report) -> None:
    """What the log and the read model take."""
    body = report.model_dump_json(exclude_none=True)
    assert "\x00" not in json.dumps(json.loads(body), ensure_ascii=False)
    assert len(report.message or "") <= MESSAGE_CHARS
    assert len((report.output_tail or "").encode()) <= OUTPUT_TAIL_BYTES
    assert len(report.reason or "") <= REASON_CHARS
    assert Report.model_validate_json(body) == report


@given(
    st.sampled_from(["succeeded", "failed", "canceled", "success"]),
    st.dictionaries(st.sampled_from(TEXTUAL), anything),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
    st.booleans(),
)
def test_an_end_is_read_whatever_its_text(
    status: str, said: dict[str, Any], encoding: str, ascii_only: bool
) -> None:
    text = json.dumps({"status": status, "attempt": 1, "runner_id": "r", **said}, ensure_ascii=ascii_only)
    report = read_report(text.encode(encoding, "surrogatepass"))
    shown = "succeeded" if status == "success" else status
    assert (report.status, report.attempt, report.runner_id) == (shown, 1, "r")
    stored(report)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_anything_is_a_report_or_refused(body: bytes) -> None:
    with contextlib.suppress(ValidationError):
        stored(read_report(body))


@pytest.mark.parametrize(
    "body",
    [
        rb'{"output_tail": "\ude00 built", "status": "succeeded"}',
        rb'{"output_tail": "\ud83d", "message": "\ud83d\ud83d", "status": "succeeded"}',
        b'\xef\xbb\xbf{"status": "succeeded"}',
        b'{"status": "succeeded", "output_tail": "\xff\xfe\x80"}',
        b'{"status": "succeeded", "output_tail": "a\x01\x1b[31mb\nc\td\x00"}',
        b'{"status": "succeeded"}\x00\n',
        b'{"status": "failed", "status": "succeeded"}',
        b'{"status": "succeeded", "exit_code": NaN, "pid": -Infinity}',
        b'{"status": "succeeded", "exit_code": ' + b"9" * 10_000 + b"}",
        b'{"status": "succeeded", "exit_code": 1e400}',
        '{"status": "succeeded", "message": "größer"}'.encode("latin-1"),
    ],
)
def test_ends_that_programs_have_sent(body: bytes) -> None:
    report = read_report(body)
    assert report.status == "succeeded"
    stored(report)


@pytest.mark.parametrize(
    ("given_code", "kept"),
    [
        ("3", 3), (" -9 ", -9), (3.0, 3), (3221225477, -1073741819), (2**32 - 1, -1), (-(2**31), -(2**31)),
        (0, 0), ("0", 0),
    ],
)  # fmt: skip
def test_exit_codes_that_can_be_read(given_code: object, kept: int) -> None:
    assert (read(exit_code=given_code).exit_code, read(exit_code=given_code).message) == (kept, None)


@pytest.mark.parametrize("given_code", ["x", "", 2**32, -(2**31) - 1, True, 1.5, [], {}, "9" * 5000])
def test_exit_codes_that_cannot_be_read_are_left_out_and_named(given_code: object) -> None:
    report = read(exit_code=given_code, message="boom")
    assert report.exit_code is None
    assert report.message == f"boom [{LEFT_OUT}: exit_code]"
    assert report.failed_reason == "error"


def test_the_message_is_cut_so_that_what_was_left_out_stays_in_it() -> None:
    message = read(message="m" * 5000, started_at="yesterday", pid=-1, reason="oom " * 500).message
    assert message is not None
    assert len(message) == MESSAGE_CHARS
    assert message.startswith("mmm")
    assert "pid, started_at, reason oom" in message


def test_text_that_is_no_text_is_kept_as_json() -> None:
    report = read(message={"why": ["a", 1]}, output_tail=7)
    assert (report.message, report.output_tail) == ('{"why": ["a", 1]}', "7")


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "done"}, {"status": None}, {"attempt": 0}, {"attempt": "one"}, {"attempt": True},
        {"attempt": 1.5}, {"runner_id": "a b"}, {"runner_id": "r\ud800"}, {"runner_id": 5},
    ],
)  # fmt: skip
def test_whose_end_it_is_is_never_guessed(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        read(message="m" * 5000, **fields)
    assert [one["loc"] for one in refused.value.errors()] == [tuple(fields)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"1", b"{} {}", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        read_report(body)
