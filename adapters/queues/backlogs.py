"""Backlogs of durable consumers, as the server reports them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats.aio.client import Client

from adapters.nats.jetstream_api import JetStreamApi
from domain.ports.queues import Backlog


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable consumer; `name` is the queue's name for operators."""

    name: str
    stream: str
    consumer: str


class JetStreamBacklogs:
    """Port `Backlogs`."""

    def __init__(self, connection: Client, queues: Sequence[Queue]) -> None:
        self._queues = [(queue, JetStreamApi(connection, queue.stream)) for queue in queues]

    @property
    def names(self) -> list[str]:
        """See the port."""
        return [queue.name for queue, _ in self._queues]

    async def all(self) -> dict[str, Backlog | None]:
        """See the port. Raises LogUnreachable."""
        found = await asyncio.gather(*(_backlog(api, queue.consumer) for queue, api in self._queues))
        return dict(zip(self.names, found, strict=True))


async def _backlog(api: JetStreamApi, consumer: str) -> Backlog | None:
    info = await api.consumer(consumer)
    if info is None:
        return None
    messages = int(info["num_pending"] + info["num_ack_pending"])
    return Backlog(messages, await _oldest(api, info) if messages else None)


async def _oldest(api: JetStreamApi, info: dict[str, Any]) -> datetime | None:
    """When the first message after the acknowledgement floor was stored."""
    config, start = info["config"], info["ack_floor"]["stream_seq"] + 1
    subjects = config.get("filter_subjects") or [config.get("filter_subject") or ">"]
    found = await asyncio.gather(*(api.next(subject, start) for subject in subjects))
    first = min((raw for raw in found if raw is not None), key=lambda raw: raw.seq, default=None)
    return datetime.fromisoformat(first.time) if first is not None else None
