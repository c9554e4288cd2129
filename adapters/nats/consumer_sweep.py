"""Deletes abandoned guest consumers of the log, since each costs the server memory.

Every NATS role that may read may create any number of consumers, durable ones included. A consumer without a
reader is removed once it was idle for STALE_SECONDS. Beyond MOST consumers, those without a reader are
removed at once, the oldest first, and then the newest of those with one. The control plane's durable
consumers are never removed. Towpath's own readers create a new consumer if theirs is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from nats.aio.client import Client

from adapters.nats.jetstream_api import JetStreamApi
from domain.errors import Busy

STALE_SECONDS = 300.0
MOST = 500
EVERY_SECONDS = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GuestConsumer:
    """A consumer that is not one of `ours`; `asked`: it has a reader; `idle_seconds`: since its last use."""

    name: str
    asked: bool
    created: str
    idle_seconds: float


class ConsumerSweep:
    """One sweeper of the log's consumers; any number may run. Consumers named in `ours` stay."""

    def __init__(
        self, connection: Client, ours: Collection[str], stale_seconds: float = STALE_SECONDS
    ) -> None:
        self._api = JetStreamApi(connection)
        self._ours = frozenset(ours)
        self._stale_seconds = stale_seconds

    async def run(self) -> None:
        """Sweep until canceled."""
        while True:
            try:
                swept = await self.sweep()
            except Busy as error:
                log.info("consumers not swept, the next time they will be", error=str(error))
            else:
                if swept:
                    log.warning("consumers of others removed from the log", count=len(swept), first=swept[0])
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> list[str]:
        """Remove the consumers that are due now; return their names. Raises LogUnreachable."""
        found = [_foreign(one) for one in await self._api.consumers() if one["name"] not in self._ours]
        due = due_now(found, self._stale_seconds)
        for name in due:
            await self._api.delete_consumer(name)
        return due


def due_now(found: Collection[GuestConsumer], stale_seconds: float = STALE_SECONDS) -> list[str]:
    """The names of those to remove."""
    stale = [one.name for one in found if not one.asked and one.idle_seconds > stale_seconds]
    left = [one for one in found if one.name not in set(stale)]
    idle = sorted((one for one in left if not one.asked), key=lambda one: one.created)
    busy = sorted((one for one in left if one.asked), key=lambda one: one.created, reverse=True)
    return stale + [one.name for one in [*idle, *busy][: max(0, len(left) - MOST)]]


def _foreign(info: dict[str, Any]) -> GuestConsumer:
    times = [info["created"], *(info.get(name, {}).get("last_active") for name in ("delivered", "ack_floor"))]
    last = max(datetime.fromisoformat(one) for one in times if one)
    asked = bool(info.get("num_waiting") or info.get("push_bound"))
    idle = (datetime.now(UTC) - last).total_seconds()
    return GuestConsumer(info["name"], asked, info["created"], idle)
