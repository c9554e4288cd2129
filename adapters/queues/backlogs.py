"""Backlogs of durable consumers, as the server reports them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from nats.aio.client import Client

from adapters.nats.jetstream_api import JetStreamApi, RawMessage
from domain.errors import Busy
from domain.identifiers import LogSeq
from domain.log.position import MAX_SEQ
from domain.ports.queues import Backlog
from domain.ports.read_model import ReadModel

NEAR = 50
"""Events behind what the index knows that are looked at."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable consumer; `name` is the queue's name for operators."""

    name: str
    stream: str
    consumer: str


class JetStreamBacklogs:
    """Port `Backlogs`. `index` knows where the events of each name stand."""

    def __init__(self, connection: Client, queues: Sequence[Queue], index: ReadModel) -> None:
        self._queues = [(queue, JetStreamApi(connection, queue.stream)) for queue in queues]
        self._index = index

    @property
    def names(self) -> list[str]:
        """See the port."""
        return [queue.name for queue, _ in self._queues]

    async def all(self) -> dict[str, Backlog | None]:
        """See the port. Raises LogUnreachable."""
        found = await asyncio.gather(*(self._backlog(api, queue.consumer) for queue, api in self._queues))
        return dict(zip(self.names, found, strict=True))

    async def _backlog(self, api: JetStreamApi, consumer: str) -> Backlog | None:
        info = await api.consumer(consumer)
        if info is None:
            return None
        messages = int(info["num_pending"] + info["num_ack_pending"])
        return Backlog(messages, await self._oldest(api, info) if messages else None)

    async def _oldest(self, api: JetStreamApi, info: dict[str, Any]) -> datetime | None:
        """When the first message after the acknowledgement floor was stored."""
        config, start = info["config"], info["ack_floor"]["stream_seq"] + 1
        subjects = config.get("filter_subjects") or [config.get("filter_subject") or ">"]
        first = await self._near(api, subjects, start) if len(subjects) > 1 else None
        if first is None:
            found = await asyncio.gather(*(api.next(subject, start) for subject in subjects))
            first = min((raw for raw in found if raw is not None), key=lambda raw: raw.seq, default=None)
        if first is None:
            return None
        return datetime.fromisoformat(first.time or first.headers["Nats-Time-Stamp"])

    async def _near(self, api: JetStreamApi, subjects: Sequence[str], start: int) -> RawMessage | None:
        """The first event of several patterns of the log, if the index or a look at the next ones finds it.

        A search for a pattern that few messages have costs the server more the longer the log is.
        """
        names = [subject.rpartition(".")[2] for subject in subjects]
        try:
            found = await self._index.event_seqs(names, LogSeq(start - 1), LogSeq(MAX_SEQ), 1)
        except Busy:
            return None
        if found.seqs:
            near = [await api.get(found.seqs[0])]
        else:
            near = [*await api.batch(None, max(start, found.position + 1), NEAR)]
        return next((raw for raw in near if raw and _matches(raw.subject, subjects)), None)


def _matches(subject: str, patterns: Sequence[str]) -> bool:
    """Whether a subject has one of the patterns, whose only wildcards are `*`."""
    words = subject.split(".")
    return any(
        all(one in ("*", word) for one, word in zip_longest(pattern.split("."), words))
        for pattern in patterns
    )
