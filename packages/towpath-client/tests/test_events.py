"""Following the log: every event once and in order, whatever happens to the connections."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from both_clients import opened
from broken_lines import Line
from scripted_server import scripted
from tests.support.towpath import Up
from towpath_client import Client, NotTowpath, Unanswered, problems, stream
from towpath_client.stream import Parser

EVENT = {
    "id": "e", "type": "t", "event": "created", "version": 1, "actor": "api", "time": "2026-03-01T12:00:00Z",
}  # fmt: skip


@pytest.fixture
def line(up: Up) -> Iterator[Line]:
    line = Line(up.url)
    yield line
    line.close()


@pytest.fixture
def far_client(kind: str, line: Line) -> Iterator[Any]:
    """A client behind the line."""
    yield from opened(kind, line.url)


def test_events_of_a_task_from_a_sequence_on(client: Any) -> None:
    task = client.create(["true"], dispatch=True)
    client.wait(task.id)
    seen = list(itertools.islice(client.events(task.seq - 1, task_id=task.id), 4))
    assert [one.event for one in seen][:2] in (["created", "dispatched"], ["dispatched", "queued"])
    trail = [one.seq for one in client.trail(task.id) if one.seq >= seen[0].seq]
    assert [one.seq for one in seen] == trail[:4]


def test_no_event_is_missed_or_given_twice_while_connections_break(
    far_client: Any, up: Up, line: Line
) -> None:
    with Client(up.url) as direct:
        start = direct.create(["true"]).seq
        made: list[str] = []

        def make() -> None:
            for number in range(30):
                made.append(direct.create(["true"], title=str(number)).id)
                if number % 5 == 0 and line.accepted.acquire(timeout=30):
                    line.cut()

        maker = threading.Thread(target=make)
        maker.start()
        seen = []
        for event in far_client.events(start, event="created"):
            seen.append(event)
            if len(seen) == 30:
                break
        maker.join()
    assert [one.task_id for one in seen] == made
    assert [one.seq for one in seen] == sorted({one.seq for one in seen})
    assert line.connections > 2


def test_a_half_open_connection_is_noticed(
    far_client: Any, up: Up, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SILENCE_SECONDS", 0.5)
    with Client(up.url) as direct:
        start = direct.create(["true"]).seq
        events = far_client.events(start, event="created")
        first = direct.create(["true"])
        assert next(events).task_id == first.id
        line.hold()
        second = direct.create(["true"])
        threading.Timer(1.2, line.go_on).start()
        assert next(events).task_id == second.id
        third = direct.create(["true"])
        assert next(events).task_id == third.id
    assert line.connections >= 2


def test_a_connection_that_does_not_come_back_ends_it(far_client: Any, up: Up, line: Line) -> None:
    with Client(up.url) as direct:
        start = direct.create(["true"]).seq - 1
    events = far_client.events(start, reconnect_seconds=0.5)
    next(events)
    line.accepts = False
    line.cut()
    with pytest.raises(Unanswered):
        next(events)


def test_another_log_is_noticed(client: Any) -> None:
    task = client.create(["true"])
    with pytest.raises(problems.OtherLog):
        next(client.events(f"{task.seq}.0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"))
    with pytest.raises(problems.BeyondTheLog):
        next(client.events(10**9))
    with pytest.raises(ValueError, match="sequence"):
        next(client.events("later"))


def test_it_goes_on_with_the_event_id_after_the_connection_was_lost(kind: str) -> None:
    def events(*seqs: int) -> bytes:
        told = [json.dumps({**EVENT, "seq": seq, "id": f"e{seq}"}) for seq in seqs]
        return b"".join(f"id: {seq}\ndata: {text}\n\n".encode() for seq, text in zip(seqs, told, strict=True))

    cut = events(4)[:-20]
    answers = [
        (200, b"id: 1\n\n: position 1.e1\n\n" + events(2, 3) + cut, {}),
        (200, b": position 9.e9\n\n" + events(3, 4), {}),
        (404, {"code": "other-log", "status": 404, "detail": "replaced"}, {}),
    ]
    with scripted(*answers) as server:
        client = opened(kind, server.url)
        found = next(client).events(1)
        assert [next(found).seq for _ in range(3)] == [2, 3, 4]
        with pytest.raises(problems.OtherLog):
            next(found)
        client.close()
        assert [headers["last-event-id"] for headers in server.headers] == ["1", "3.e3", "4.e4"]


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_bytes_may_be_split_anywhere(size: int) -> None:
    told = [
        (seq, json.dumps({**EVENT, "seq": seq, "actor": "ö"}, ensure_ascii=False)) for seq in (1, 2, 2, 1, 3)
    ]
    events = [f"id: {seq}\nevent: created\ndata: {event}\n\n" for seq, event in told]
    text = "retry: 1000\r\nid: 0\n\n" + "".join(events)
    raw, parser = text.encode(), Parser(None, None)
    found = [one for at in range(0, len(raw), size) for one in parser.feed(raw[at : at + size])]
    assert [(one.seq, one.actor) for one in found] == [(1, "ö"), (2, "ö"), (3, "ö")]
    assert (parser.seq, parser.position) == (3, "3.e")


@pytest.mark.parametrize("line", [b"data: " + b"x" * 4000 + b"\n", b"data:\n", b"x" * 4000])
def test_an_event_that_does_not_end_is_given_up(line: bytes) -> None:
    parser, chunk = Parser(None, None), line * (64 * 1024 // len(line))
    chunks = itertools.repeat(chunk, 2 * stream.MAX_EVENT_BYTES // len(chunk))
    with pytest.raises(NotTowpath, match="too large"):
        list(itertools.chain.from_iterable(map(parser.feed, chunks)))


def test_many_events_are_no_large_event() -> None:
    parser, position = Parser(None, None), b"data:\n\n"
    for _ in range(3 * stream.MAX_EVENT_BYTES // stream.LINE_COST_BYTES // 10_000):
        assert list(parser.feed(position * 10_000)) == []
