"""Runners' reports over NATS: the callback gateway behind a durable work queue.

Reports wait in stream TOWPATH_REPORT while the API is down. They are taken in batches of raw messages, since
an invalid body must not fail its neighbours. Each is validated and settled by itself: one task's reports in
order, different tasks concurrently. The consumer has no limit of deliveries (a work queue would keep the
message, invisibly); `api.reports.settlement` has one, and stores a dead letter first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import nats.errors
import structlog
from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as ConsumerAck
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from api.dependencies import ApiParts
from api.metrics.registry import Metrics
from api.reports.batch_timeout import SharedTimeout
from api.reports.settlement import ANSWER_SECONDS, Settlement, delay_seconds, deliveries, put_back
from domain import subjects
from domain.errors import Busy
from domain.subjects import Stream

DURABLE = "report-intake"
BATCH = 200
BATCHES = 2
POLL_SECONDS = 5.0
ACK_WAIT_SECONDS = 15.0  # longer than a report may take; what a killed API had taken waits so long
STOP_SECONDS = 15.0
AWAY_SECONDS = 0.5
LATE_SECONDS = 0.1
CONSUMER = ConsumerConfig(
    durable_name=DURABLE,
    filter_subject=subjects.report(),
    ack_policy=ConsumerAck.EXPLICIT,
    deliver_policy=DeliverPolicy.ALL,
    ack_wait=ACK_WAIT_SECONDS,
    max_deliver=-1,
    max_ack_pending=10 * BATCH,
)
log = structlog.get_logger("towpath.api")
_Fetch = Callable[..., Coroutine[Any, Any, list[Msg]]]
Connect = Callable[[], Awaitable[Client]]


class ReportIntake:
    """Takes reports from NATS on a connection of its own, which `connect` makes."""

    def __init__(self, parts: ApiParts, connect: Connect, metrics: Metrics | None = None) -> None:
        self._settlement = Settlement(parts, metrics)
        self._connect = connect
        self._broker: NatsBroker | None = None
        self._ahead: _FetchAhead | None = None
        self._room = asyncio.Semaphore(BATCHES)
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect and take reports from now on; the stream must exist.

        Raises:
            Busy: their queue could not be opened; start again.
        """
        if self._broker is not None:
            return
        self._broker = _Broker(self._connect)
        subscriber = self._broker.subscriber(
            subjects.report(),
            stream=JStream(Stream.REPORT, declare=False),
            durable=DURABLE,
            pull_sub=PullSub(batch_size=BATCH, timeout=POLL_SECONDS, batch=True),
            config=replace(CONSUMER),  # nats-py fills in what it is given
            decoder=_raw,
            ack_policy=AckPolicy.MANUAL,
        )
        subscriber(self._take)
        try:
            await self._broker.start()
        except nats.errors.Error as error:
            await self.stop()
            why = f"the queue of reports over NATS cannot be opened ({error!r})"
            raise Busy("log-unreachable", f"{why}; is JetStream up? Start again in a moment") from error
        pull = subscriber.subscription
        assert pull is not None
        self._ahead = _FetchAhead(pull.fetch, self._revive)
        subscriber.subscription = _PullAhead(pull, self._ahead)

    @property
    def connected(self) -> bool:
        """Whether reports can come at all."""
        connection = self._broker.connection if self._broker is not None else None
        fetching = self._ahead is None or not self._ahead.failed
        return connection is not None and connection.is_connected and fetching

    async def _revive(self) -> None:
        """Make the consumer again where it was deleted: FastStream and nats-py would ask it without end."""
        if self._broker is None:
            return
        js = self._broker.connection.jetstream()
        try:
            await js.consumer_info(Stream.REPORT, DURABLE)
        except NotFoundError:
            await js.add_consumer(Stream.REPORT, replace(CONSUMER))
            log.warning("the consumer of reports was deleted, it is made again", consumer=DURABLE)

    async def stop(self) -> None:
        """Settle what was taken, then close the connection; may be called twice."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        if self._ahead is not None:
            await self._ahead.stop()
        if self._working:
            await asyncio.wait(self._working, timeout=STOP_SECONDS)
        await broker.stop()

    async def _take(self, batch: list[Msg]) -> None:
        """Begin with a batch beside the one before it: one waits for the log, the other is worked on."""
        await self._room.acquire()
        working = asyncio.create_task(self._settle(batch))
        self._working.add(working)
        working.add_done_callback(self._settled)

    def _settled(self, working: asyncio.Task[None]) -> None:
        self._working.discard(working)
        self._room.release()

    async def _settle(self, batch: list[Msg]) -> None:
        by_task: dict[str, list[Msg]] = {}
        for message in batch:
            by_task.setdefault(message.subject, []).append(message)
        limit = SharedTimeout(ANSWER_SECONDS)
        try:
            await asyncio.gather(*(self._in_order(messages, limit) for messages in by_task.values()))
        finally:
            limit.close()

    async def _in_order(self, messages: list[Msg], limit: SharedTimeout) -> None:
        """One task's reports: once one has to come again, the later ones come again behind it."""
        for number, message in enumerate(messages, start=1):
            if not await self._settlement.settle(message, limit):
                for later in messages[number:]:
                    await put_back(later, 2 * delay_seconds(deliveries(later)))
                return


class _FetchAhead:
    """Fetches so that a batch is what is there, handled at once, while the next one is on its way.

    FastStream asks again until a batch is full or its time is over; asked for the rest, this answers with
    the timeout that ends a batch. And nats-py raises the built-in TimeoutError where the server's answer
    comes just before its own timer: FastStream keeps what it holds on nats-py's own error alone. And where
    NATS is away it would ask again at once, without end, and keep every failure: here that takes a moment.

    Where that answer comes just after the timer, nats-py would take it for the next request's, and make a
    second one beside it: of two, a report might come for the one that no answer ends, and lie there for
    POLL_SECONDS. So what is late is let in first; the next fetch passes over it.
    """

    def __init__(self, fetch: _Fetch, revive: Callable[[], Awaitable[None]]) -> None:
        self._fetch = fetch
        self._revive = revive
        self._next: asyncio.Task[list[Msg]] | None = None
        self._stopped = False
        self.failed = 0
        """How often in a row reports could not be asked for."""

    async def __call__(
        self, batch: int = 1, timeout: float | None = None, heartbeat: float | None = None
    ) -> list[Msg]:
        if batch < BATCH or self._stopped:
            await asyncio.sleep(0 if batch < BATCH else STOP_SECONDS)
            raise nats.errors.TimeoutError
        coming = self._next or asyncio.create_task(self._ask(batch, timeout, heartbeat))
        self._next = None
        try:
            messages = await coming
        except TimeoutError as error:
            self._succeeded()
            raise nats.errors.TimeoutError from error
        except nats.errors.Error as error:
            if self._stopped:
                raise nats.errors.TimeoutError from error
            self.failed += 1
            if self.failed == 1:
                log.warning("reports cannot be fetched, trying until they can", error=repr(error))
            with contextlib.suppress(nats.errors.Error):
                await self._revive()
            await asyncio.sleep(AWAY_SECONDS)
            raise nats.errors.TimeoutError from error
        finally:
            coming.cancel()
        self._succeeded()
        self._next = asyncio.create_task(self._ask(batch, timeout, heartbeat))
        return messages

    def _succeeded(self) -> None:
        if self.failed:
            log.info("reports can be fetched again", failed=self.failed)
        self.failed = 0

    async def _ask(self, batch: int, timeout: float | None, heartbeat: float | None) -> list[Msg]:
        try:
            return await self._fetch(batch, timeout, heartbeat)
        except TimeoutError:
            await asyncio.sleep(LATE_SECONDS)
            raise

    async def stop(self) -> None:
        """Let what was fetched and not handed out come again at once."""
        self._stopped = True
        coming, self._next = self._next, None
        if coming is None:
            return
        coming.cancel()
        await asyncio.wait({coming})
        if not coming.cancelled() and coming.exception() is None:
            for message in coming.result():
                await put_back(message, 0.0)


class _PullAhead(JetStreamContext.PullSubscription):
    """A subscription that FastStream has made, fetched from through `ahead`."""

    def __init__(self, made: JetStreamContext.PullSubscription, ahead: _FetchAhead) -> None:
        vars(self).update(vars(made))
        self._ahead = ahead

    async def fetch(
        self, batch: int = 1, timeout: float | None = 5, heartbeat: float | None = None
    ) -> list[Msg]:
        return await self._ahead(batch, timeout, heartbeat)


async def _raw(message: StreamMessage[Any]) -> Any:
    """Leave the batch undecoded."""
    return message.raw_message


class _Broker(NatsBroker):
    """FastStream's, on a connection that somebody else knows how to make."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(apply_types=False, logger=None, graceful_timeout=STOP_SECONDS)
        self._make_connection = connect

    async def _connect(self) -> Client:
        connection = await self._make_connection()
        self.config.connect(connection)
        return connection

    async def stop(self, *_: object) -> None:
        """Send what is written and close; a drain would wait for an answer, also of a server that is away."""
        connection, self._connection = self._connection, None
        try:
            await super().stop()
        finally:
            if connection is not None:
                await connection.close()
