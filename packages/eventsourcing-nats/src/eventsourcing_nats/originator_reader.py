"""Reads the messages of one originator, as few of them as asked for.

The last message tells how many there are; anchors lead back from it. So the newest few cost no more when
the originator has a long history.
"""

from __future__ import annotations

from eventsourcing.persistence import OperationalError

from eventsourcing_nats.records import Head, Place, head_of
from eventsourcing_nats.stream_reader import StoredMessage, StreamReader

_FIRST = Place(1, 1, -1)


class OriginatorReader:
    """Reads the messages of one originator whose versions rise."""

    def __init__(self, reader: StreamReader, subject: str, head: StoredMessage) -> None:
        self._reader, self._subject, self._last = reader, subject, head
        self._head = head_of(head)

    async def everything(self) -> list[StoredMessage]:
        """All of them, in order."""
        return await self._window(_FIRST, self._head.count)

    async def rising(self, gt: int | None, lte: int | None, limit: int | None) -> list[StoredMessage]:
        """Those with gt < version <= lte, lowest first, at most `limit`."""
        head = self._head
        if gt is not None and head.version <= gt:
            return []
        start = await self._start(gt)
        count = head.count - start.count + 1
        if lte is not None:
            count = min(count, lte - start.version + 1)  # versions rise, so no more than that can count
        found: list[StoredMessage] = []
        async for page in self._reader.exactly(self._subject, start.seq, count):
            for message in page:
                version = head_of(message).version
                if lte is not None and version > lte:
                    return found
                if gt is None or version > gt:
                    found.append(message)
                if len(found) == limit:
                    return found
        return found

    async def falling(self, gt: int | None, lte: int | None, limit: int) -> list[StoredMessage]:
        """Those with gt < version <= lte, highest first, at most `limit`."""
        if limit == 1 and (lte is None or self._head.version <= lte):
            return [self._last] if gt is None or self._head.version > gt else []
        found: list[StoredMessage] = []
        end, anchor = self._head.count, self._head.anchor
        while anchor is not None and lte is not None and anchor.version > lte:
            end, anchor = anchor.count - 1, (await self._at(anchor)).anchor
        while True:
            window = await self._window(anchor or _FIRST, end)
            for message in reversed(window):
                version = head_of(message).version
                if gt is not None and version <= gt:
                    return found
                if lte is None or version <= lte:
                    found.append(message)
                if len(found) == limit:
                    return found
            if anchor is None:
                return found
            end, anchor = anchor.count - 1, head_of(window[0]).anchor

    async def _start(self, gt: int | None) -> Place:
        """The nearest known place at or before the first message behind version `gt`."""
        head = self._head
        if gt is None or 2 * (head.version - gt) > head.count:
            return _FIRST  # nearer to the first than to the last
        anchor = head.anchor
        while anchor is not None and anchor.version > gt:
            anchor = (await self._at(anchor)).anchor
        return anchor or _FIRST

    async def _at(self, place: Place) -> Head:
        message = await self._reader.get(place.seq)
        if message is None:
            raise OperationalError(f"message {place.seq} of {self._subject} is missing: was it deleted?")
        return head_of(message)

    async def _window(self, start: Place, end_count: int) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        async for page in self._reader.exactly(self._subject, start.seq, end_count - start.count + 1):
            found += page
        return found
