"""How the library's stored events become messages: one message per event, one subject per originator.

The subject names the originator (in base32, because an id may hold any character), the headers hold version
and topic, the body is the event's state as the library made it. Each message also tells how many the
originator has up to it, and where an earlier one stands (its anchor). So the last message bounds every read,
and a read of the newest few does not start at the first.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from eventsourcing.persistence import Notification, ProgrammingError, StoredEvent

from eventsourcing_nats.stream_reader import StoredMessage

VERSION, TOPIC, COUNT, ANCHOR, TOP, WRITE = (
    "Es-Version",
    "Es-Topic",
    "Es-Count",
    "Es-Anchor",
    "Es-Top",
    "Es-Write",
)
POSITION = "Es-Position"
ANCHOR_DISTANCE = 64
MOST_ID_BYTES = 255


@dataclass(frozen=True, slots=True)
class Place:
    """A stored message of an originator: sequence, how many the originator has up to it, its version."""

    seq: int
    count: int
    version: int


@dataclass(frozen=True, slots=True)
class Head(Place):
    """The last message of an originator. `top` is its highest version; that is `version` where they rise."""

    anchor: Place | None = None
    top: int = -1

    @property
    def rising(self) -> bool:
        """Whether every version was higher than the one before."""
        return self.top == self.version

    def next_anchor(self) -> Place | None:
        """Where the messages of the next write point back to."""
        far = self.count - (self.anchor.count if self.anchor else 0) >= ANCHOR_DISTANCE
        return Place(self.seq, self.count, self.version) if far else self.anchor


NOTHING = Head(0, 0, -1)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be written. `expected`: the sequence that must be its subject's last; None: unchecked."""

    subject: str
    headers: Mapping[str, str]
    data: bytes
    expected: int | None = None


def event_headers(event: StoredEvent, count: int, anchor: Place | None, top: int) -> dict[str, str]:
    """The headers of an event's message."""
    headers = {
        VERSION: str(event.originator_version),
        TOPIC: _written_topic(event.topic),
        COUNT: str(count),
    }
    if anchor is not None:
        headers[ANCHOR] = f"{anchor.seq} {anchor.count} {anchor.version}"
    if top != event.originator_version:
        headers[TOP] = str(top)
    return headers


def head_of(message: StoredMessage) -> Head:
    """The place that a message's headers tell."""
    headers = message.headers
    anchor = headers.get(ANCHOR)
    version = int(headers[VERSION])
    return Head(
        message.seq,
        int(headers[COUNT]),
        version,
        Place(*map(int, anchor.split())) if anchor else None,
        int(headers.get(TOP, version)),
    )


def stored_event(message: StoredMessage) -> StoredEvent:
    """The event that a message holds."""
    return StoredEvent(**_fields(message))


def notification(message: StoredMessage) -> Notification:
    """The event that a message holds, with the message's sequence as its id."""
    return Notification(**_fields(message), id=message.seq)


def _fields(message: StoredMessage) -> dict[str, Any]:
    return {
        "originator_id": originator_of(message.subject),
        "originator_version": int(message.headers[VERSION]),
        "topic": _read_topic(message.headers[TOPIC]),
        "state": message.data,
    }


def token_of(originator_id: UUID | str) -> str:
    """The last token of an originator's subject: `u` or `s` (UUID or text) and the id in base32."""
    if isinstance(originator_id, UUID):
        return "u" + _base32(originator_id.bytes)
    raw = originator_id.encode()
    if len(raw) > MOST_ID_BYTES:
        raise ProgrammingError(
            f"an originator id has at most {MOST_ID_BYTES} bytes, not {len(raw)}: shorten it"
        )
    return "s" + _base32(raw)


@functools.lru_cache(maxsize=4096)
def originator_of(subject: str) -> UUID | str:
    """The id behind a subject, as the type that it was written with."""
    token = subject.rpartition(".")[2]
    text = token[1:].upper()
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    return UUID(bytes=raw) if token[0] == "u" else raw.decode()


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


@functools.lru_cache(maxsize=4096)
def _written_topic(topic: str) -> str:
    return quote(topic, safe=":/.<>,[]_-")


@functools.lru_cache(maxsize=4096)
def _read_topic(text: str) -> str:
    return unquote(text)
