"""Work shared through durable JetStream consumers: FastStream subscribers for events and deadlines.

Delivery: at least once. A message is acknowledged when its handler returns; while a handler takes long the
server is told so; a handler that raises gets it again with growing delay, and after the last try it is kept
as a dead letter with the reason, so that one poisoned message never stops the rest. While the log itself is
away or full, nothing is wrong with the message: it comes again for as long as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import nats.errors
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.js.api import AckPolicy as ConsumerAck
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from adapters.event_store.codec import subject_of
from adapters.event_store.lazy_event import LazyEvent
from adapters.nats.message import Arrived
from adapters.nats.pull_consumer import delivery, stream_seq
from domain.backoff import Backoff
from domain.context.log_context import be_about
from domain.context.trace import TRACEPARENT, use_traceparent
from domain.errors import Busy, LogFull
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.queues import Deadline, Due
from domain.services.dead_letters import DeadLetters
from domain.services.ordered_work import OrderedWork
from domain.subjects import Stream, timer_due
from domain.validation.headers import header

CONCURRENCY = 64  # from here on no more are fetched
BATCH = 16
PULL_SECONDS = 0.25  # a message may wait so long for a request that no answer ends: see ADR 20
ACK_WAIT_SECONDS = 6.0
PROGRESS_SECONDS = 1.5
STOP_SECONDS = 1.0
MAX_DELIVER = 12
RETRY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0

Item = TypeVar("Item")
log = structlog.get_logger(__name__)


class FastStreamQueues:
    """Port `WorkQueues`: a subscriber for each queue, on whichever broker runs them."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters
        self._queues: list[_Queue[Any]] = []

    def events(
        self, name: str, wanted: Sequence[EventFilter], handle: Callable[[Recorded], Awaitable[None]]
    ) -> None:
        """See the port."""
        subjects = [subject_of(one) for one in wanted]
        self._queues.append(_Queue(self._dead_letters, Stream.LOG, name, subjects, 2, _event, handle))

    def deadlines(self, kind: str, handle: Callable[[Due], Awaitable[None]]) -> None:
        """See the port."""
        name, subjects = f"due-{kind}", [timer_due(kind)]
        self._queues.append(_Queue(self._dead_letters, Stream.TIMER, name, subjects, 4, _due, handle))

    def subscribe(self, broker: NatsBroker) -> None:
        """Declare the subscribers; the streams must exist when the broker starts."""
        for queue in self._queues:
            queue.subscribe(broker)

    async def stop(self) -> None:
        """Let what has begun end within a moment, and give everything else back at once."""
        await asyncio.gather(*(queue.stop() for queue in self._queues))


class _Queue(Generic[Item]):
    """One durable consumer; any number of processes may share it. Handles messages in no particular order."""

    def __init__(
        self,
        dead_letters: DeadLetters,
        stream: str,
        name: str,
        subjects: Sequence[str],
        id_token: int,
        parse: Callable[[Arrived], Item],
        handle: Callable[[Item], Awaitable[None]],
    ) -> None:
        """`id_token`: which token of a subject names what it is about, for dead letters."""
        self._dead_letters = dead_letters
        self._stream = stream
        self._name = name
        self._subjects = list(subjects)
        self._id_token = id_token
        self._parse = parse
        self._handle = handle
        self._work = self._open()
        self._unsettled: set[NatsMessage] = set()
        self._progress: asyncio.Task[None] | None = None

    def _open(self) -> OrderedWork[NatsMessage]:
        return OrderedWork(self._settle, self._give_back, CONCURRENCY)

    def subscribe(self, broker: NatsBroker) -> None:
        self._work = self._open()
        broker.subscriber(
            stream=JStream(self._stream, declare=False),
            durable=self._name,
            pull_sub=PullSub(batch_size=BATCH, timeout=PULL_SECONDS),
            config=ConsumerConfig(
                filter_subjects=self._subjects,
                ack_policy=ConsumerAck.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_SECONDS,
                max_deliver=-1,
                max_ack_pending=10_000,
            ),
            decoder=_undecoded,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )(self.take)

    async def take(self, message: NatsMessage) -> None:
        """Begin with a message; returns once there is room for the next."""
        if self._work.add(message.raw_message.reply, message):
            self._unsettled.add(message)
        else:
            await self._give_back(message)
        if self._progress is None:
            self._progress = asyncio.get_running_loop().create_task(self._tell_progress())
        await self._work.room()

    async def stop(self) -> None:
        for message in self._work.close():
            await self._give_back(message)
        await asyncio.gather(asyncio.sleep(PULL_SECONDS), self._work.ended(STOP_SECONDS))
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.cancel()
            await asyncio.wait({progress})

    async def _settle(self, message: NatsMessage) -> bool:
        raw = message.raw_message
        try:
            await self._handle(self._parse(Arrived(raw.subject, raw.reply, raw.data, b"", message.headers)))
        except asyncio.CancelledError:
            await self._give_back(message)
            raise
        except Exception as error:
            await self._failed(message, error)
        else:
            try:
                await message.ack()
            except nats.errors.Error as error:
                log.warning("acknowledgement lost, will come again", queue=self._name, error=repr(error))
        finally:
            self._unsettled.discard(message)
        return True

    async def _give_back(self, message: NatsMessage) -> None:
        """It comes again at once; while NATS is away, after ACK_WAIT_SECONDS."""
        self._unsettled.discard(message)
        with contextlib.suppress(nats.errors.Error):
            await message.nack()

    async def _tell_progress(self) -> None:
        """While a message takes long, the server is told not to deliver it again."""
        known: set[NatsMessage] = set()
        while True:
            for message in known & self._unsettled:
                with contextlib.suppress(nats.errors.Error):
                    await message.in_progress()
            known = set(self._unsettled)
            await asyncio.sleep(PROGRESS_SECONDS)

    async def _failed(self, message: NatsMessage, error: Exception) -> None:
        raw = message.raw_message
        use_traceparent(header(message.headers, TRACEPARENT))  # also where the event could not be read
        delivered = delivery(raw.reply)
        log.warning(
            "event not handled",
            queue=self._name,
            subject=raw.subject,
            tries=delivered.tries,
            why=str(error) or type(error).__name__,
            exc_info=None if isinstance(error, Busy) else error,
        )
        try:
            if delivered.tries < MAX_DELIVER or isinstance(error, (Busy, LogFull)):
                await message.nack(Backoff(2 * RETRY_SECONDS, MAX_DELAY_SECONDS).after(delivered.tries))
                return
            await self._dead_letters.keep(
                self._name,
                raw.subject.split(".")[self._id_token],
                raw.data,
                "not-handled",
                _words(error),
                source=raw.subject,
                source_seq=delivered.seq,
            )
            await message.reject()
        except Exception as lost:
            log.warning("could not settle, will come again", queue=self._name, error=str(lost))


async def _undecoded(message: NatsMessage) -> NatsMessage:
    return message


def _words(error: Exception) -> str:
    """What went wrong, without the input that a validation error would show: it may hold secrets."""
    if isinstance(error, ValidationError):
        found = (
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)
        )
        return f"{error.title}: {'; '.join(found)}"
    return repr(error)


def _event(message: Arrived) -> Recorded:
    event = LazyEvent(stream_seq(message.reply), message)
    use_traceparent(event.traceparent)
    be_about(event.task_id, event.attempt, event.seq)
    return event


def _due(message: Arrived) -> Due:
    use_traceparent(header(message.headers, TRACEPARENT))
    kind, task_id, attempt = message.subject.split(".")[-3:]
    be_about(task_id, int(attempt))
    return Due(Deadline(kind, task_id, int(attempt)), delivery(message.reply).at, message.data)
