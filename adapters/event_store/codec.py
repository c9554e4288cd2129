"""Codec: an event as a NATS message with CloudEvents headers (binary mode) and JSON data.

`ce-chain` links each event to its predecessor, so that a changed, dropped or reordered event is detected.
Encoding is deterministic: a retry is byte-identical. Stored type names come from `domain.log.events`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote, unquote

import orjson

from adapters.nats.jetstream_api import RawMessage
from domain import subjects
from domain.identifiers import LogSeq
from domain.locks.claims import FIRST_CHAIN
from domain.log.events import EVENTS, EventData, Kind, type_name
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.protocol import rfc3339
from domain.subjects import ANY

SOURCE = "/towpath"
EXPECTED_SEQ = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_FILTER = "Nats-Expected-Last-Subject-Sequence-Subject"
MSG_ID = "Nats-Msg-Id"
_TYPES: dict[tuple[str, str], str] = {key: type_name(*key) for key in EVENTS}


@dataclass(frozen=True, slots=True)
class Message:
    """One append: the message, and the sequence that its compare-and-set expects.

    `subject` is the stored subject; the message is published on `append_subject`. `headers` do not hold the
    expected sequence, so that a retry cannot expect another one by accident.
    """

    subject: str
    filter: str
    expected_seq: LogSeq
    headers: dict[str, str]
    data: bytes

    @property
    def id(self) -> str:
        """The event's `ce-id`, also its `Nats-Msg-Id`."""
        return self.headers["ce-id"]

    @property
    def chain(self) -> str:
        """The event's `ce-chain`."""
        return self.headers["ce-chain"]

    def recorded(self, seq: LogSeq) -> Recorded:
        """The event as readers get it once it is stored at `seq`."""
        return decode(seq, self.subject, self.headers, self.data)

    @property
    def append_subject(self) -> str:
        """The subject to publish on, which the stream transforms into `subject`."""
        return subjects.APPEND + self.subject.removeprefix(subjects.ROOT)

    @property
    def publish_headers(self) -> dict[str, str]:
        """All headers of the publish, with the expected sequence."""
        return {**self.headers, EXPECTED_SEQ: str(self.expected_seq), EXPECTED_FILTER: self.filter}


def subject_of(wanted: EventFilter) -> str:
    """The stored subject of these events, with a wildcard for each field that is None."""
    return subjects.event(wanted.kind or ANY, wanted.subject_id or ANY, wanted.event or ANY)


def filter_of(kind: Kind, subject_id: str) -> str:
    """The filter string of this task or workspace, the same in all appends and reads."""
    return subjects.event(kind, subject_id)


def chain_link(previous: str, subject: str, headers: Mapping[str, str], data: bytes) -> str:
    """The `ce-chain` of an event: lower-case hex SHA-256 over predecessor, subject, headers and data."""
    chained = sorted([name for name in headers if name.startswith("ce-") and name != "ce-chain"])
    lines = [previous, subject, *[f"{name}:{headers[name]}" for name in chained]]
    return hashlib.sha256("\n".join(lines).encode() + b"\n" + data).hexdigest()


def encode(
    kind: Kind,
    subject_id: str,
    event: str,
    data: EventData,
    *,
    id: str,
    version: int,
    at: datetime,
    actor: str,
    expected_seq: LogSeq,
    previous_chain: str = FIRST_CHAIN,
    traceparent: str | None = None,
) -> Message:
    """The message that appends this event, expecting `expected_seq`."""
    body: bytes = data.__pydantic_serializer__.to_json(data)
    subject = subjects.event(kind, subject_id, event)
    headers = {
        "ce-actor": quote(actor, safe=":/@+-._~"),
        "ce-datacontenttype": "application/json",
        "ce-entityversion": str(version),
        "ce-id": id,
        "ce-source": SOURCE,
        "ce-specversion": "1.0",
        "ce-subject": subject_id,
        "ce-time": rfc3339(at),
        "ce-type": type_name(kind, event),
    }
    attempt = getattr(data, "attempt", None)
    if attempt is not None:
        headers["ce-attempt"] = str(attempt)
    headers["ce-chain"] = chain_link(previous_chain, subject, headers, body)
    headers[MSG_ID] = id
    if traceparent:
        headers["traceparent"] = traceparent
    return Message(subject, filter_of(kind, subject_id), expected_seq, headers, body)


def check_type(kind: str, event: str, name: str | None) -> None:
    """Raise ValueError if this version does not know events of type `name`."""
    if name is None or name != _TYPES.get((kind, event)):
        raise ValueError(f"type {name} is unknown here: a newer Towpath wrote it, so upgrade this one")


def decoded(message: RawMessage) -> Recorded:
    """The event in a stored message. ValueError if it is not an event of Towpath."""
    return decode(LogSeq(message.seq), message.subject, message.headers, message.data)


def decode(seq: LogSeq, subject: str, headers: Mapping[str, str], data: bytes) -> Recorded:
    """The event stored at `seq`.

    Raises:
        ValueError: it is not an event of Towpath.
    """
    try:
        _, kind, subject_id, event = subject.split(".")
        check_type(kind, event, headers["ce-type"])
        attempt = headers.get("ce-attempt")
        actor = headers["ce-actor"]
        return Recorded(
            seq,
            cast(Kind, kind),
            subject_id,
            event,
            headers["ce-id"],
            int(headers["ce-entityversion"]),
            int(attempt) if attempt else None,
            headers["ce-time"],
            unquote(actor) if "%" in actor else actor,
            headers["ce-chain"],
            cast(dict[str, Any], orjson.loads(data)),
            headers.get("traceparent"),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"what stands at sequence {seq} ({subject}) is not an event of Towpath: {error!r}"
        ) from error
