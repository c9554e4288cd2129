"""Live heartbeats: a plain subscription beside the stream that keeps the last ones of each runner.

Every listener gets all heartbeats in the same order. A consumer shared by several processes would not do:
only a process that has seen the heartbeat before can detect a counter that went back. A heartbeat missed
while no process listens does no harm, since the next one has the same faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import nats.errors
import structlog
from nats.aio.client import Client

from adapters.event_store.codec import EXPECTED_SEQ
from adapters.nats.client import listen
from adapters.nats.message import Arrived
from adapters.runners.heartbeats import ALL
from domain.errors import Busy, LogFull
from domain.identifiers import RunnerId
from domain.runners.heartbeat_validation import ArrivedBeat

WAITING = 64
"""The bound of the queue for a slow handler; further heartbeats are dropped."""

log = structlog.get_logger(__name__)


class CoreBeatFeed:
    """Port `BeatFeed`."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection

    async def listen(self, handle: Callable[[ArrivedBeat], Awaitable[None]]) -> None:
        """See the port. Heartbeats that an API publishes are skipped: the API has validated them."""
        waiting: asyncio.Queue[ArrivedBeat] = asyncio.Queue(WAITING)

        def take(arrived: Arrived) -> None:
            if EXPECTED_SEQ not in arrived.headers and not waiting.full():
                runner_id = RunnerId(arrived.subject.rpartition(".")[2])
                waiting.put_nowait(ArrivedBeat(runner_id, arrived.data, arrived.subject))

        listening = await listen(self._nc, ALL, take)
        try:
            while True:
                beat = await waiting.get()
                try:
                    await handle(beat)
                except (Busy, LogFull, nats.errors.Error, TimeoutError) as error:
                    log.warning(
                        "heartbeat not inspected, the next one will be",
                        runner_id=beat.runner_id, error=repr(error),
                    )  # fmt: skip
        finally:
            await listening.unsubscribe()
