"""The log as it grows: server-sent events over connections that may break.

Every event is given once and in order. A new connection goes on behind the last position that was seen, with
the event's id, so that a log that was replaced meanwhile is noticed (`OtherLog`, `BeyondTheLog`) and nothing
is skipped in silence. The API sends something at least every 15 seconds: a silent connection is half open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from towpath_client.calls import Deadline, not_ours, pauses, problem_of, retry_after
from towpath_client.errors import NotTowpath, Problem, TowpathError, Unanswered, Unreachable
from towpath_client.models import Event
from towpath_client.steps import Answer, Emit, Feed, Open, Pause, Read, Request

SILENCE_SECONDS = 25.0
MAX_EVENT_BYTES = 16 << 20
"""Of one line, and of one event's lines together."""
LINE_COST_BYTES = 64
"""What Python keeps of a line besides its text: a server may send empty ones without end."""
_POSITION = b": position "
_SEQ = re.compile(rb"[0-9]{1,19}")
_SEQ_AND_ID = re.compile(rb"[0-9]{1,19}\.[A-Za-z0-9_-]{1,64}")


class Parser:
    """Splits the bytes of one connection into events; keeps the position that was seen last."""

    def __init__(self, seq: int | None, position: str | None) -> None:
        self.seq = seq
        """The last sequence up to which nothing is missing."""
        self.position = position
        """The same as `Last-Event-ID`, with the event's id where it is known."""
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._id: int | None = None

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that are complete now, each once."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        _check(len(self._rest))
        for line in lines:
            event = self._line(line.removesuffix(b"\r"))
            if event is not None:
                yield event

    def _line(self, line: bytes) -> Event | None:
        if line.startswith(_POSITION):
            text = line[len(_POSITION) :].strip()
            if _SEQ_AND_ID.fullmatch(text) and int(text.split(b".")[0]) == self.seq:
                self.position = text.decode()
        elif line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line) + LINE_COST_BYTES
            _check(self._size)
        elif line.startswith(b"id:") and _SEQ.fullmatch(line[3:].strip()):
            self._id = int(line[3:])
        elif not line:
            return self._dispatch()
        return None

    def _dispatch(self) -> Event | None:
        data, self._data, self._size = b"\n".join(self._data), [], 0
        seen, self._id = self._id, None
        if data:
            return self._event(data)
        if seen is not None and (self.seq is None or seen > self.seq):
            self.seq, self.position = seen, str(seen)
        return None

    def _event(self, data: bytes) -> Event | None:
        try:
            event = Event.model_validate_json(data)
        except ValidationError as error:
            raise not_ours(error) from None
        if self.seq is not None and event.seq <= self.seq:
            return None
        self.seq, self.position = event.seq, f"{event.seq}.{event.id}"
        return event


def _check(size: int) -> None:
    if size > MAX_EVENT_BYTES:
        raise NotTowpath("an event of the stream is too large: look at the URL")


def events(after: int | str | None, filters: Mapping[str, Any], reconnect_seconds: float) -> Feed[Event]:
    """Events behind `after`, without end; `SEQ.EVENT_ID` is a position that knows its log."""
    position = None if after is None else str(after)
    if position is not None and not re.fullmatch(r"[0-9]{1,19}(\.[A-Za-z0-9_-]{1,64})?", position):
        raise ValueError("`after` is a sequence, or `SEQ.EVENT_ID`")
    parser = Parser(int(position.split(".")[0]) if position is not None else None, position)
    deadline, between = Deadline(reconnect_seconds), pauses()
    while True:
        error: TowpathError
        wait = 0.0
        try:
            answer: Answer = yield Open(_request(filters, parser.position))
            if answer.status != 200:
                raise problem_of(answer)
            while chunk := (yield Read()):
                for event in parser.feed(chunk):
                    yield Emit(event)
                deadline, between = Deadline(reconnect_seconds), pauses()
            error = Unanswered("the event stream has ended")
        except (Unreachable, Unanswered) as lost:
            error = lost
        except Problem as problem:
            if problem.status not in (429, 503):
                raise
            error, wait = problem, retry_after(problem)
        parser = Parser(parser.seq, parser.position)  # what came of an event that was cut off is sent again
        wait = max(wait, next(between))
        if wait >= deadline.left:
            raise error
        yield Pause(wait)


def _request(filters: Mapping[str, Any], position: str | None) -> Request:
    headers = {"Accept": "text/event-stream"}
    if position is not None:
        headers["Last-Event-ID"] = position
    return Request("GET", "/events/stream", filters, headers=headers, seconds=SILENCE_SECONDS)
