"""Audit records on stream TOWPATH_AUDIT, one subject for each kind.

JetStream reads forwards only, and the records of other kinds lie between: a page is read in stretches, each
before the last one and longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Iterator

from nats.aio.client import Client
from pydantic import ValidationError

from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable, RawMessage
from adapters.nats.publish import publish
from domain import subjects
from domain.evidence.audit_record import AuditData, AuditKind, AuditRecord
from domain.subjects import Stream

FIRST_STRETCH = 100
LONGER = 4
MOST_AT_ONCE = 1000


class JetStreamAuditRecords:
    """Port `AuditRecords`."""

    def __init__(self, connection: Client) -> None:
        self._connection = connection
        self._api = JetStreamApi(connection, Stream.AUDIT)

    async def add(self, kind: AuditKind, what: AuditData) -> int:
        """See the port."""
        headers = {"Nats-Msg-Id": secrets.token_hex(16)}
        body = what.model_dump_json().encode()
        return (await publish(self._connection, Stream.AUDIT, subjects.audit(kind), body, headers)).seq

    async def newest(self, kind: AuditKind, limit: int, before: int | None = None) -> list[AuditRecord]:
        """See the port."""
        subject = subjects.audit(kind)
        last, oldest = await asyncio.gather(self._api.last(subject), self._api.next(subject, 1))
        if last is None or oldest is None:
            return []
        end = last.seq + 1 if before is None else min(before, last.seq + 1)
        found: list[AuditRecord] = []
        wide = FIRST_STRETCH
        while oldest.seq < end and len(found) < limit:
            first = max(oldest.seq, end - wide)
            stored = await self._api.batch(subject, first, min(end - first, MOST_AT_ONCE))
            if end == last.seq + 1 and (not stored or stored[-1].seq < last.seq):
                raise LogUnreachable("a replica of the audit records lags behind")
            found += _read(one for one in reversed(stored) if one.seq < end)
            end, wide = first, wide * LONGER
        return found[:limit]


def _read(stored: Iterable[RawMessage]) -> Iterator[AuditRecord]:
    """The records; a message that another program has put there is none."""
    for one in stored:
        with contextlib.suppress(ValidationError):
            yield AuditRecord(one.seq, AuditData.model_validate_json(one.data))
