"""The stored events of one stream: what a write may do, and what is read.

Versions of an originator are unique. In a log of events they are also contiguous: an application whose save
had an unknown outcome, and that goes on with its aggregate, would otherwise leave a hole, and the aggregate
could not be loaded. Snapshots may come in any order.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from uuid import UUID

from eventsourcing.persistence import IntegrityError, Notification, StoredEvent, Tracking

from eventsourcing_nats.atomic_writer import AtomicWriter, WriteConflict
from eventsourcing_nats.originator_reader import OriginatorReader
from eventsourcing_nats.positions import Positions
from eventsourcing_nats.records import (
    NOTHING,
    POSITION,
    VERSION,
    Draft,
    Head,
    event_headers,
    head_of,
    notification,
    stored_event,
    token_of,
)
from eventsourcing_nats.request_reply import RequestReply
from eventsourcing_nats.stream_reader import StoredMessage, StreamReader
from eventsourcing_nats.streams import StreamNames

HEADS_KEPT = 10_000
READS_AT_ONCE = 32
_UNKNOWN = Head(-1, 0, -1)


class EventLog:
    """Events of one stream. `contiguous`: versions of an originator have no holes."""

    def __init__(
        self, requests: RequestReply, reader: StreamReader, names: StreamNames, *, contiguous: bool
    ) -> None:
        self._reader = reader
        self._names = names
        self._contiguous = contiguous
        self._writer = AtomicWriter(requests, reader)
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self.positions = Positions(reader, self._writer, names.tracking_root)

    async def insert(self, events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
        """Store all events and the tracking record, or nothing; return the events' sequences.

        Raises IntegrityError where a version is taken or does not follow, or the position is not ahead.
        """
        if not events and tracking is None:
            return []
        chains = self._chains(events)
        while True:
            heads = await self._heads_of(chains)
            drafts = [await self.positions.draft(tracking)] if tracking is not None else []
            drafts += self._drafts(events, chains, heads)
            try:
                first = await self._writer.write(drafts)
            except BaseException as error:
                for subject in chains:
                    self._heads[subject] = _UNKNOWN
                if isinstance(error, WriteConflict):
                    continue  # look again: the conflict is real, or another write was merely faster
                raise
            behind = len(drafts) - len(events)
            return self._remember(first + behind, drafts[behind:])

    async def select(
        self, originator_id: UUID | str, gt: int | None, lte: int | None, desc: bool, limit: int | None
    ) -> list[StoredEvent]:
        """Events of one originator with gt < version <= lte, at most `limit`."""
        subject = self._subject(originator_id)
        last = await self._reader.last(subject)
        if last is None or (limit is not None and limit < 1):
            return []
        head = head_of(last)
        self._keep(subject, head)
        of_originator = OriginatorReader(self._reader, subject, last)
        if not head.rising:
            found = sorted(
                await of_originator.everything(), key=lambda message: head_of(message).version, reverse=desc
            )
            found = [m for m in found if _within(head_of(m).version, gt, lte)][:limit]
        elif desc:
            found = await of_originator.falling(gt, lte, limit or head.count)
        else:
            found = await of_originator.rising(gt, lte, limit)
        return [stored_event(message) for message in found]

    async def notifications(
        self, first: int, limit: int, stop: int | None, topics: Iterable[str]
    ) -> list[Notification]:
        """Events of all originators from sequence `first` to `stop`, at most `limit`."""
        last = await self._reader.last(">")
        if last is None or limit < 1:
            return []
        end = last.seq if stop is None else min(last.seq, stop)
        wanted = frozenset(topics)
        found: list[Notification] = []
        while first <= end and len(found) < limit:
            room = end - first + 1 if wanted else min(limit - len(found), end - first + 1)
            async for page in self._reader.exactly(">", first, room):
                for message in page:
                    if VERSION in message.headers:
                        one = notification(message)
                        if not wanted or one.topic in wanted:
                            found.append(one)
                    if len(found) == limit:
                        return found
            first += room
        return found

    async def last_id(self) -> int | None:
        """The sequence of the last event."""
        last = await self._reader.last(">")
        if last is not None and POSITION in last.headers:  # slower: looks at all originators
            last = await self._reader.last(f"{self._names.root}.*")
        return None if last is None else last.seq

    def _subject(self, originator_id: UUID | str) -> str:
        return f"{self._names.root}.{token_of(originator_id)}"

    def _chains(self, events: Sequence[StoredEvent]) -> dict[str, list[int]]:
        """The versions of each subject in the order in which they are to be stored."""
        chains: dict[str, list[int]] = {}
        for event in events:
            chains.setdefault(self._subject(event.originator_id), []).append(event.originator_version)
        for subject, versions in chains.items():
            if len(set(versions)) < len(versions):
                raise IntegrityError(f"a version comes twice in one write: {versions} of {subject}")
            if self._contiguous and versions != list(range(versions[0], versions[0] + len(versions))):
                raise IntegrityError(
                    f"versions of one originator do not follow each other: {versions} of {subject}"
                )
        return chains

    async def _heads_of(self, chains: dict[str, list[int]]) -> dict[str, Head]:
        """Each subject's last message; a remembered or guessed one may be old, which the write notices."""

        async def head(subject: str, versions: list[int]) -> Head:
            new = self._contiguous and versions[0] in (0, 1)  # most likely
            known = self._heads.get(subject, NOTHING if new else _UNKNOWN)
            if known is _UNKNOWN or not self._follows(known, versions):
                async with self._reads:
                    last = await self._reader.last(subject)
                    known = NOTHING if last is None else head_of(last)
                    await self._refuse_taken(subject, known, versions, last)
            return known

        found = await asyncio.gather(*(head(*chain) for chain in chains.items()))
        return dict(zip(chains, found, strict=True))

    def _follows(self, head: Head, versions: list[int]) -> bool:
        if head is NOTHING:
            return True
        return versions[0] == head.version + 1 if self._contiguous else min(versions) > head.top

    async def _refuse_taken(
        self, subject: str, head: Head, versions: list[int], last: StoredMessage | None
    ) -> None:
        if last is None or self._follows(head, versions):
            return
        if self._contiguous:
            taken = versions[0] <= head.version
            what = "is taken" if taken else f"does not follow the last one, {head.version}"
            raise IntegrityError(
                f"version {versions[0]} of {subject} {what}: load the aggregate and decide again"
            )
        messages = await OriginatorReader(self._reader, subject, last).everything()
        if not {head_of(message).version for message in messages}.isdisjoint(versions):
            raise IntegrityError(f"one of the versions {versions} of {subject} is taken")

    def _drafts(
        self, events: Sequence[StoredEvent], chains: dict[str, list[int]], heads: dict[str, Head]
    ) -> list[Draft]:
        anchors = {subject: head.next_anchor() for subject, head in heads.items()}
        counts = {subject: head.count for subject, head in heads.items()}
        tops = {subject: head.top for subject, head in heads.items()}
        drafts, begun = [], set[str]()
        for event in events:
            subject = self._subject(event.originator_id)
            counts[subject] += 1
            tops[subject] = max(tops[subject], event.originator_version)
            headers = event_headers(event, counts[subject], anchors[subject], tops[subject])
            expected = None if subject in begun else heads[subject].seq
            begun.add(subject)
            drafts.append(Draft(subject, headers, event.state, expected))
        return drafts

    def _remember(self, first: int, drafts: Sequence[Draft]) -> list[int]:
        sequences = list(range(first, first + len(drafts)))
        for seq, draft in zip(sequences, drafts, strict=True):
            self._keep(draft.subject, head_of(StoredMessage(seq, draft.subject, draft.headers, b"")))
        return sequences

    def _keep(self, subject: str, head: Head) -> None:
        known = self._heads.get(subject)
        if known is None or known.seq < head.seq:
            self._heads[subject] = head
        self._heads.move_to_end(subject)
        if len(self._heads) > HEADS_KEPT:
            self._heads.popitem(last=False)


def _within(version: int, gt: int | None, lte: int | None) -> bool:
    return (gt is None or version > gt) and (lte is None or version <= lte)
