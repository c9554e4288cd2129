"""One durable JetStream pull consumer of a work queue; any number of processes share it.

A message counts as unsettled from its arrival until `release`; that many bound what is asked for. A lost
connection, a deleted consumer and a broker that is away are survived: the consumer is made and asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client

from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from adapters.nats.message import Arrived, Take
from adapters.nats.pull_consumer import Pull, PullTiming

PULL = PullTiming(request_seconds=2.0)
"""Requests are short, since the broker delivers to an open request even if its process is frozen."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumerTiming:
    """`reopen_seconds` is the pause after a lost consumer."""

    check_seconds: float = 0.5
    reopen_seconds: float = 0.5
    pull: PullTiming = PULL


TIMING = ConsumerTiming()


class DurableConsumer:
    """The messages of one durable consumer, which has this `config`.

    `batch` are asked for at once, while at most `waiting` are unsettled: so at most `waiting` and one and a
    half batches are in this process.
    """

    def __init__(
        self,
        connection: Client,
        stream: str,
        name: str,
        config: dict[str, Any],
        *,
        batch: int,
        waiting: int,
        timing: ConsumerTiming = TIMING,
    ) -> None:
        self._nc = connection
        self._api = JetStreamApi(connection, stream)
        self._name = name
        self._config = {"durable_name": name, "ack_policy": "explicit", "deliver_policy": "all", **config}
        self._batch = batch
        self._waiting = waiting
        self._timing = timing
        self._pull: Pull | None = None
        self._stopped = False
        self._failed = 0
        self.unsettled: set[Arrived] = set()
        self.reading = False
        """Whether the consumer is there and asked, as far as is known."""

    async def make(self) -> None:
        """Make the consumer, or find it. Raises LogUnreachable."""
        await self._api.make_consumer(self._name, self._config)
        self.reading = True

    async def run(self, take: Take) -> None:
        """Call `take` with each message until canceled or stopped; it must neither block nor raise."""

        def arrived(message: Arrived) -> None:
            self.unsettled.add(message)
            take(message)

        while not self._stopped:
            try:
                await self._take_until_gone(arrived)
            except (nats.errors.Error, LogUnreachable) as error:
                if self._nc.is_closed:
                    raise
                if not self._failed:
                    log.warning("queue not reachable, will retry", queue=self._name, error=repr(error))
                self._failed += 1
            finally:
                self.reading = False
            if not self._stopped:
                await asyncio.sleep(self._timing.reopen_seconds)

    def release(self, message: Arrived) -> None:
        """The message is settled, or left to come again: there is room for another."""
        self.unsettled.discard(message)
        if self._pull is not None:
            self._pull.more()

    async def stop(self) -> None:
        """Let `run` end; what the server has sent by now is still taken, so it need not come again."""
        self._stopped = True
        if self._pull is not None:
            await self._pull.drain()

    async def _take_until_gone(self, take: Take) -> None:
        gone = asyncio.Event()
        await self.make()
        if self._stopped:
            return
        self._pull = pull = Pull(
            self._nc,
            self._api.next_subject(self._name),
            take,
            batch=self._batch,
            timing=self._timing.pull,
            room=self._has_room,
            lost=gone.set,
        )
        try:
            await pull.open()
            await pull.request()
            if self._failed:
                log.info("queue reachable again", queue=self._name, failed=self._failed)
                self._failed = 0
            while not pull.gone:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.check_seconds):
                        await gone.wait()
                # a lost consumer sends nothing, so this looks at the silence
                pull.check()
        finally:
            await pull.close()

    def _has_room(self) -> bool:
        """Some may wait beside those at work, so that requests stay large."""
        return len(self.unsettled) <= self._waiting
