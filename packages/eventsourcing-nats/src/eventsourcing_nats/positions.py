"""Tracking: how far a program has processed the notifications of others, one subject per application.

A position only moves ahead. The compare-and-set is on the last record of that application, so of two
processors of one notification one is refused, and with it the events that it wanted to store in the same
batch.
"""

from __future__ import annotations

import contextlib

from eventsourcing.persistence import IntegrityError, Tracking

from eventsourcing_nats.atomic_writer import AtomicWriter, WriteConflict
from eventsourcing_nats.records import POSITION, Draft, token_of
from eventsourcing_nats.stream_reader import StreamReader


class Positions:
    """Tracking records below `root` in one stream."""

    def __init__(self, reader: StreamReader, writer: AtomicWriter, root: str) -> None:
        self._reader, self._writer, self._root = reader, writer, root

    async def insert(self, tracking: Tracking) -> None:
        """Record a position by itself. Raises IntegrityError where it is not ahead."""
        while True:
            draft = await self.draft(tracking)
            with contextlib.suppress(WriteConflict):
                await self._writer.write([draft])
                return

    async def highest(self, application_name: str) -> int | None:
        """The position of an application, None where nothing was recorded."""
        return (await self._read(self._subject(application_name)))[1]

    async def draft(self, tracking: Tracking) -> Draft:
        """The message that records a position. Raises IntegrityError where it is not ahead of the last."""
        subject = self._subject(tracking.application_name)
        seq, position = await self._read(subject)
        if position is not None and position >= tracking.notification_id:
            raise IntegrityError(
                f"notification {tracking.notification_id} of {tracking.application_name} was processed "
                f"already: the position is {position}"
            )
        return Draft(subject, {POSITION: str(tracking.notification_id)}, b"", seq)

    async def _read(self, subject: str) -> tuple[int, int | None]:
        last = await self._reader.last(subject)
        return (0, None) if last is None else (last.seq, int(last.headers[POSITION]))

    def _subject(self, application_name: str) -> str:
        return f"{self._root}.{token_of(application_name)}"
