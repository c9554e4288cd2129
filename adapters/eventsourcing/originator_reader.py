"""Reads the messages of one originator, as few of them as asked for.

The last message says how many there are; anchors lead back from it. So the newest few cost no more when
the originator has a long history.
"""

from __future__ import annotations

from adapters.eventsourcing.patient_api import PatientApi
from adapters.eventsourcing.records import Head, Place, head_of
from adapters.nats.jetstream_api import LogUnreachable, RawMessage

_FIRST = Place(1, 1, -1)


class OriginatorReader:
    """Reads the messages of one originator whose versions rise."""

    def __init__(self, api: PatientApi, subject: str, head: RawMessage) -> None:
        self._api, self._subject, self._last = api, subject, head
        self._head = head_of(head)

    async def everything(self) -> list[RawMessage]:
        """All of them, in order."""
        return await self._window(_FIRST, self._head.count)

    async def rising(self, gt: int | None, lte: int | None, limit: int | None) -> list[RawMessage]:
        """Those with gt < version <= lte, lowest first, at most `limit`."""
        head = self._head
        if gt is not None and head.version <= gt:
            return []
        start = await self._start(gt)
        count = head.count - start.count + 1
        if lte is not None:
            count = min(count, lte - start.version + 1)  # versions rise, so no more than that can count
        found: list[RawMessage] = []
        async for page in self._api.exactly(self._subject, start.seq, count):
            for message in page:
                version = head_of(message).version
                if lte is not None and version > lte:
                    return found
                if gt is None or version > gt:
                    found.append(message)
                if len(found) == limit:
                    return found
        return found

    async def falling(self, gt: int | None, lte: int | None, limit: int) -> list[RawMessage]:
        """Those with gt < version <= lte, highest first, at most `limit`."""
        if limit == 1 and (lte is None or self._head.version <= lte):
            return [self._last] if gt is None or self._head.version > gt else []
        found: list[RawMessage] = []
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
        message = await self._api.get(place.seq)
        if message is None:
            raise LogUnreachable(f"message {place.seq} of {self._subject} is missing")
        return head_of(message)

    async def _window(self, start: Place, end_count: int) -> list[RawMessage]:
        found: list[RawMessage] = []
        async for page in self._api.exactly(self._subject, start.seq, end_count - start.count + 1):
            found += page
        return found
