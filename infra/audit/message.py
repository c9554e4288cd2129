"""One stored message, split once into header lines (for the leaf), headers (for the chain) and event.

It runs for every event of a log, so it repeats the work of `adapters.event_store.codec` for the usual form
only, and reports what is wrong with any other message.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import orjson

from adapters.event_store.reading.raw_reader import StoredBytes
from domain.evidence.merkle import leaf_hash
from domain.log.events import EVENTS, Kind, type_name
from domain.log.record import Recorded

_TYPES = {key: type_name(*key).encode() for key in EVENTS}
_KINDS: dict[bytes, Kind] = {b"task": "task", b"lock": "lock", b"workspace": "workspace"}
_CHAIN = b"ce-chain"


class BadForm(ValueError):
    """The stored message is not an event of this log."""


class Parsed(NamedTuple):
    """An event and the parts of its chain link; `chained` goes between the previous link and the data."""

    event: Recorded
    leaf: bytes
    chained: bytes
    data: bytes

    def link(self, previous: str) -> str:
        """The `ce-chain` that this event must have after the link `previous`."""
        return sha256(b"%b\n%b%b" % (previous.encode(), self.chained, self.data)).hexdigest()


def leaf_of(stored: StoredBytes) -> tuple[bytes, list[bytes]]:
    """The leaf hash and the sorted header lines."""
    lines = stored.header_lines()
    lines.sort()
    return leaf_hash(stored.seq, stored.subject, lines, stored.data), lines


def parse(stored: StoredBytes, leaf: bytes, lines: list[bytes]) -> Parsed:
    """The message as an event. Raises BadForm."""
    pairs = [line.split(b": ", 1) for line in lines]
    try:
        headers: dict[bytes, bytes] = dict(pairs)
        _, kind_name, subject_id, event_name = stored.subject.split(b".")
        kind, event = _KINDS[kind_name], event_name.decode()
        if len(headers) != len(pairs):
            raise BadForm("it has a header twice")
        if headers[b"ce-type"] != _TYPES.get((kind, event)):
            raise BadForm(f"its type is {headers[b'ce-type'].decode()}: changed, or of a newer Towpath")
        if headers[b"ce-subject"] != subject_id:
            raise BadForm("its header ce-subject is not the subject it stands on")
        if headers.get(b"Nats-Msg-Id") != headers[b"ce-id"]:
            raise BadForm("its message id is not its event id")
        pairs.sort()
        chained = b"\n".join(
            [
                stored.subject,
                *[b":".join(pair) for pair in pairs if pair[0][:3] == b"ce-" and pair[0] != _CHAIN],
                b"",
            ]
        )
        attempt, actor = headers.get(b"ce-attempt"), headers[b"ce-actor"].decode()
        data = cast(dict[str, Any], orjson.loads(stored.data))
        recorded = Recorded(
            stored.seq,
            kind,
            subject_id.decode(),
            event,
            headers[b"ce-id"].decode(),
            int(headers[b"ce-entityversion"]),
            int(attempt) if attempt else None,
            headers[b"ce-time"].decode(),
            unquote(actor) if "%" in actor else actor,
            headers[_CHAIN].decode(),
            data,
        )
        if recorded.attempt != data.get("attempt"):
            raise BadForm("its header ce-attempt is not the attempt in its data")
    except BadForm:
        raise
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise BadForm(f"it is not an event of Towpath ({error!r})") from error
    return Parsed(recorded, leaf, chained, stored.data)
