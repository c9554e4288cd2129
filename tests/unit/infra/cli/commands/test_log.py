"""The live log: one line per event, each once, whatever happens to the connection."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from domain.log.position import Position
from infra.cli.client.following.stream import EVENT_BYTES, LINE_COST_BYTES, parse
from infra.errors.cli_error import CliError
from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, Begin
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.shapes import TASK_ID, event


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0
    return words


def lines(process: subprocess.Popen[str], number: int) -> Iterator[str]:
    assert process.stdout is not None
    for _ in range(number):
        yield process.stdout.readline()


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_line_per_event_across_a_broken_connection(api: FakeApi, begin: Begin, form: str) -> None:
    for name in ("queued", "running", "succeeded"):
        api.record(event(name, output_tail="a\u2028b\x85c"))
    api.breaks_after = 2
    process = begin("watch", "--after", "0", "-o", form, COLUMNS="140")
    shown = [json.loads(line) for line in lines(process, 3)]
    stop(process)
    assert shown == api.log


def test_filters_are_sent_and_the_position_only_if_there_is_one(api: FakeApi, begin: Begin) -> None:
    api.record(event("running"))
    given = ("--task", TASK_ID, "--workspace", "acme", "--event", "running", "--actor", "runner")
    process = begin("watch", *given, COLUMNS="140")
    (line,) = lines(process, 1)
    stop(process)
    assert TASK_ID in line
    assert "on r1, pid 4711" in line
    (asked,) = api.asked("GET", "/events/stream")
    assert sorted(asked.query) == [
        ("actor", "runner"),
        ("event", "running"),
        ("task_id", TASK_ID),
        ("workspace", "acme"),
    ]
    assert "last-event-id" not in asked.headers


def test_a_connection_that_breaks_before_the_first_event_resumes_where_it_began(
    api: FakeApi, begin: Begin
) -> None:
    api.breaks_after = 0
    process = begin("watch", "-o", "jsonl")
    while len(api.asked("GET", "/events/stream")) < 2:
        assert process.poll() is None
    api.record(event("running"))
    assert [json.loads(line) for line in lines(process, 1)] == api.log
    stop(process)
    assert [one.headers.get("last-event-id") for one in api.asked("GET", "/events/stream")] == [None, "0"]


def test_chunks_may_be_cut_anywhere() -> None:
    body = (
        "retry: 1000\nid: 4\n\n: position 4.e4\n\n"
        'id: 5\nevent: x\ndata: {"seq":5,"id":"e5",\ndata: "a":"é\u2028"}\n\n'
        ': beat\nid: 9\n\nid: 10\ndata: {"seq":10}\r\n\r\n'
    ).encode()
    expected = [
        (Position(4), None),
        (Position(4, "e4"), None),
        (Position(5, "e5"), {"seq": 5, "id": "e5", "a": "é\u2028"}),
        (Position(9), None),
        (Position(10), {"seq": 10}),
    ]
    for size in (1, 2, 3, 7, len(body)):
        assert list(parse(body[at : at + size] for at in range(0, len(body), size))) == expected


@pytest.mark.parametrize("line", [b"data: " + b"x" * 4000 + b"\n", b"data:\n", b"x" * 4000])
def test_an_event_that_does_not_end_is_given_up(line: bytes) -> None:
    chunk = line * (64 * 1024 // len(line))
    with pytest.raises(CliError, match="an event of the stream has more than"):
        list(parse(itertools.repeat(chunk, 2 * EVENT_BYTES // len(chunk))))


def test_many_events_are_no_large_event() -> None:
    chunks = itertools.repeat(b"data: {}\n\n" * 10_000, 3 * EVENT_BYTES // LINE_COST_BYTES // 10_000)
    assert {event for _, event in parse(chunks)} == {None}


def _named(*ids: str) -> list[dict[str, object]]:
    return [{**event("running"), "seq": seq, "id": one} for seq, one in enumerate(ids, 1)]


@pytest.mark.parametrize("now", ["abxyz", "abx", "xyzuv", "ab"])
def test_a_replaced_log_is_said_and_everything_new_in_it_is_shown(
    api: FakeApi, begin: Begin, now: str
) -> None:
    """As after a restore of an older backup: shorter than what was shown, or longer again already."""
    api.log = _named("a", "b", "c", "d")
    process = begin("watch", "--after", "0", "-o", "jsonl")
    assert [json.loads(line)["id"] for line in lines(process, 4)] == ["a", "b", "c", "d"]
    replaced = _named(*now)
    api.replace(replaced)
    new = [one for one in replaced if one["id"] not in ("a", "b")]
    assert [json.loads(line)["id"] for line in lines(process, len(new))] == [one["id"] for one in new]
    api.record({**event("running"), "id": "last"})
    assert [json.loads(line)["id"] for line in lines(process, 1)] == ["last"]
    assert "the log was replaced" in stop(process)


def test_a_position_beyond_the_log_is_refused(api: FakeApi, begin: Begin) -> None:
    api.log = _named("a")
    process = begin("watch", "--after", "99999999")
    _, words = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, "not this log" in words) == (5, True)
