"""Reads the log in order: live from any sequence, in pages, or single events.

Each reader keeps its own position, so a crash loses no event and redelivery cannot change the order. Arriving
events are checked for contiguity. A missing sequence is looked up on the leader; if the log itself has a
hole, or ends before the position reached, LogGap stops the reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import nats.errors
from nats.aio.client import Client

from adapters.event_store.codec import decoded, subject_of
from adapters.event_store.reading.lazy_event import LazyEvent
from adapters.event_store.reading.log_feed import TIMING, LogFeed
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from adapters.nats.pull_consumer import PullTiming
from domain.identifiers import LOG_START, LogSeq
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from domain.ports.log import LogGap

PART_BYTES = 256 * 1024
RETRY_SECONDS = 0.2
SHORT_TRIES = 15


class JetStreamLogReader:
    """Port `LogReader` on the stream of `api`."""

    def __init__(
        self,
        connection: Client,
        api: JetStreamApi,
        *,
        retry_seconds: float = RETRY_SECONDS,
        timing: PullTiming = TIMING,
    ) -> None:
        self._nc = connection
        self._timing = timing
        self._retry_seconds = retry_seconds
        self._api = api

    async def last_seq(self) -> LogSeq:
        """See the port."""
        return LogSeq((await self._api.info())["state"]["last_seq"])

    async def last_seq_of(self, wanted: EventFilter) -> LogSeq:
        """See the port."""
        last = await self._api.last(subject_of(wanted))
        return LogSeq(last.seq) if last else LOG_START

    async def page(self, after_seq: LogSeq, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
        """See the port."""
        events, size = list[Recorded](), 0
        subject = subject_of(wanted) if wanted != ALL_EVENTS else None
        for message in await self._api.batch(subject, after_seq + 1, limit):
            events.append(LazyEvent(LogSeq(message.seq), message))
            size += len(message.data)
            if size > PART_BYTES:  # yield to other tasks
                size = 0
                await asyncio.sleep(0)
        return events

    async def at(self, seqs: Sequence[LogSeq]) -> list[Recorded]:
        """See the port."""
        found = await asyncio.gather(*(self._api.get(seq) for seq in seqs))
        return [decoded(message) for message in found if message is not None]

    async def seq_at(self, at: datetime) -> LogSeq:
        """See the port. The broker's clock has nanoseconds."""
        after = await self._api.since(at + timedelta(microseconds=1))
        return LogSeq(after.seq - 1) if after is not None else await self.last_seq()

    async def follow(self, after_seq: LogSeq) -> AsyncIterator[Sequence[Recorded]]:
        """See the port. Survives server restarts and lost consumers."""
        position, event_id = after_seq, None
        while True:
            feed = LogFeed(self._nc, self._api, position, self._timing)
            try:
                await self._check_end(position)
                await self._check_event(position, event_id)
                await feed.open()
                while (batch := await feed.next()) is not None:
                    whole = _following(batch, position)
                    if whole:
                        position, event_id = whole[-1].seq, whole[-1].id
                        yield whole
                    if batch[-1].seq > position:
                        await self._check_hole(position + 1)
                        break
            except (LogUnreachable, nats.errors.Error):
                if self._nc.is_closed:
                    raise
                await asyncio.sleep(self._retry_seconds)
            finally:
                await feed.close()

    async def _check_end(self, position: int) -> None:
        """Check that the log reaches `position`; retried, since a newly elected leader may lag."""
        if position == 0:
            return
        for _ in range(SHORT_TRIES):
            last = await self.last_seq()
            if last >= position:
                return
            await asyncio.sleep(self._retry_seconds)
        raise LogGap(
            f"the log ends at sequence {last}, but this reader has seen {position}: the log was replaced, or "
            "it has lost its end; run `towpath verify`, and restore a backup if the end is missing"
        )

    async def _check_event(self, position: int, event_id: str | None) -> None:
        """Check that the event read last is still at `position`: the log may have been replaced."""
        if event_id is None:
            return
        found = await self._api.get(position)
        if found is None:
            raise _hole(position)
        if found.headers.get("ce-id") != event_id:
            raise LogGap(
                f"another event stands at sequence {position} than this reader has read there: the log was "
                "replaced under it; start this process again, and run `towpath verify`"
            )

    async def _check_hole(self, missing: int) -> None:
        if await self._api.get(missing) is None:
            raise _hole(missing)


def _hole(missing: int) -> LogGap:
    return LogGap(
        f"the log has no event at sequence {missing}: it is damaged; run `towpath verify`, "
        "then restore a backup"
    )


def _following(batch: list[Recorded], position: int) -> list[Recorded]:
    """The events of `batch` that follow `position` without a hole; events seen before are skipped."""
    if batch[0].seq == position + 1 and batch[-1].seq == position + len(batch):
        return batch
    whole: list[Recorded] = []
    for event in batch:
        if event.seq == position + len(whole) + 1:
            whole.append(event)
        elif event.seq > position + len(whole) + 1:
            break
    return whole
