"""A recorded event whose fields are parsed on first use.

Every fold reads every event, but uses all fields of only a few: for a task without a workspace the lock fold
needs sequence and name, not the output. Each field is looked up in the raw message when it is first
used. A message that is no event of Towpath is detected at once, before it is folded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import orjson

from adapters.event_store.codec import check_type
from adapters.nats.message import Arrived
from domain.identifiers import LogSeq
from domain.log.events import EVENTS, Kind, type_name
from domain.log.record import Recorded

_HEADER_OF = {
    "id": "ce-id",
    "version": "ce-entityversion",
    "attempt": "ce-attempt",
    "time": "ce-time",
    "actor": "ce-actor",
    "chain": "ce-chain",
    "traceparent": "traceparent",
}
_NEEDLES = {name: f"\r\n{header}: ".encode() for name, header in _HEADER_OF.items()}
_TYPE = b"\r\nce-type: "
_TYPE_LINES = {key: _TYPE + type_name(*key).encode() + b"\r" for key in EVENTS}
_READ: dict[str, Callable[[str], Any]] = {"version": int, "attempt": int, "actor": unquote}
_OPTIONAL = ("attempt", "traceparent")


class LazyEvent(Recorded):
    """A `Recorded` whose fields after `event` are parsed from the message on first access."""

    __slots__ = ("_message",)

    def __init__(self, seq: LogSeq, message: Arrived) -> None:
        """Raise ValueError if the message at `seq` is not an event of Towpath."""
        words = message.subject.split(".")
        if len(words) != 4:
            raise _not_an_event(seq, message.subject, "its subject has another form")
        self.seq = seq
        self.kind = cast(Kind, words[1])
        self.subject_id = words[2]
        self.event = words[3]
        self._message = message
        raw = message.raw_headers
        known = _TYPE_LINES.get((self.kind, self.event))
        if known is not None and raw.startswith(known, raw.find(_TYPE)):
            return
        try:
            check_type(words[1], words[3], message.headers.get("ce-type"))
        except ValueError as error:
            raise _not_an_event(seq, message.subject, str(error)) from error

    def __getattr__(self, name: str) -> Any:
        """Parse a field whose slot is not set; Python calls this once per field."""
        needle = _NEEDLES.get(name)
        if needle is None:
            if name != "data":
                raise AttributeError(name)
            value: Any = self._read_data()
        else:
            raw = self._message.raw_headers
            start = raw.find(needle)
            if start < 0:
                value = self._header(name)
            else:
                start += len(needle)
                value = raw[start : raw.index(b"\r", start)].decode()
            if name in _READ and value is not None:
                value = _READ[name](value)
        setattr(self, name, value)
        return value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recorded):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Recorded.__slots__)

    def _read_data(self) -> Any:
        try:
            return orjson.loads(self._message.data)
        except ValueError as error:
            raise _not_an_event(self.seq, self._message.subject, repr(error)) from error

    def _header(self, name: str) -> str | None:
        """A header that the fast search did not find."""
        raw, header = self._message.raw_headers, _HEADER_OF[name]
        if not raw or header.encode() in raw:  # else the block cannot contain it
            text = self._message.headers.get(header)
            if text is not None:
                return text
        if name in _OPTIONAL:
            return None
        raise _not_an_event(self.seq, self._message.subject, f"header {header} is missing")


def _not_an_event(seq: LogSeq, subject: str, why: str) -> ValueError:
    return ValueError(f"what stands at sequence {seq} ({subject}) is not an event of Towpath: {why}")
