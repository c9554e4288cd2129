"""Work shared through a durable JetStream consumer: events to act on, and deadlines that came due.

Delivery: at least once. A message is acknowledged when its handler returns; while a handler takes long, the
server is told that it is in progress. After an error the message is redelivered with backoff, and after the
last try it becomes a dead letter with the reason, so that one poisoned message never blocks the rest. While
the log is unreachable or full, the message is not at fault and is redelivered without limit. ADR 20 gives the
reason why this is not a FastStream subscriber.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import nats.errors
import structlog
from nats.aio.client import Client
from pydantic import ValidationError

from adapters.event_store.codec import subject_of
from adapters.event_store.reading.lazy_event import LazyEvent
from adapters.nats.message import Arrived
from adapters.nats.pull_consumer import delivery, nanoseconds, stream_seq
from adapters.queues.durable_consumer import TIMING, ConsumerTiming, DurableConsumer
from domain import subjects
from domain.backoff import Backoff
from domain.context.log_context import be_about
from domain.context.trace import TRACEPARENT, use_traceparent
from domain.errors import Busy, LogFull
from domain.identifiers import TaskId
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.queues import Deadline, Due
from domain.services.dead_letters import DeadLetters
from domain.subjects import Stream
from domain.validation.headers import header

RETRY = Backoff(first_seconds=1.0, longest_seconds=30.0)
ACK = b"+ACK"
NAK = b'-NAK {"delay": %d}'
TERM = b"+TERM"
IN_PROGRESS = b"+WPI"

Item = TypeVar("Item")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """Concurrency, timing and retry limits of a durable queue; `retry` is the backoff after an error."""

    concurrency: int = 64
    most_deliveries: int = 12
    retry: Backoff = RETRY
    ack_wait_seconds: float = 6.0
    progress_seconds: float = 1.5
    consumer: ConsumerTiming = TIMING


POLICY = QueuePolicy()


class DurableQueue:
    """The messages of one durable consumer, each handled by itself."""

    def __init__(
        self,
        connection: Client,
        dead_letters: DeadLetters,
        *,
        stream: str,
        name: str,
        subjects: Sequence[str],
        id_token: int = 2,
        policy: QueuePolicy = POLICY,
    ) -> None:
        """`id_token`: the position of the subject's token that dead letters take as `subject_id`."""
        self._nc = connection
        self._dead_letters = dead_letters
        self._name = name
        self._id_token = id_token
        self._policy = policy
        self._slots = asyncio.Semaphore(policy.concurrency)
        config = {
            "filter_subjects": list(subjects),
            "ack_wait": nanoseconds(policy.ack_wait_seconds),
            # the tries are counted here: the broker makes no dead letter of what it gives up
            "max_deliver": -1,
            "max_ack_pending": 10_000,
        }
        self._consumer = DurableConsumer(
            connection,
            stream,
            name,
            config,
            batch=policy.concurrency,
            waiting=policy.concurrency,
            timing=policy.consumer,
        )

    async def run(self, parse: Callable[[Arrived], Item], handle: Callable[[Item], Awaitable[None]]) -> None:
        """Take and handle until canceled; up to `concurrency` at once, in no particular order."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_progress())

            def take(message: Arrived) -> None:
                group.create_task(self._settle(message, parse, handle))

            await self._consumer.run(take)

    async def _settle(
        self, message: Arrived, parse: Callable[[Arrived], Item], handle: Callable[[Item], Awaitable[None]]
    ) -> None:
        try:
            async with self._slots:
                await handle(parse(message))
        except Exception as error:
            await self._failed(message, error)
        else:
            try:
                await self._nc.publish(message.reply, ACK)
            except nats.errors.Error as error:
                log.warning("acknowledgement lost, will come again", queue=self._name, error=repr(error))
        finally:
            self._consumer.release(message)

    async def _tell_progress(self) -> None:
        """Tell the server periodically which messages are in progress, so that it does not redeliver them."""
        known: set[Arrived] = set()
        while True:
            for message in known & self._consumer.unsettled:
                with contextlib.suppress(nats.errors.Error):
                    await self._nc.publish(message.reply, IN_PROGRESS)
            # only messages that were here a round ago: most are settled before they need this
            known = set(self._consumer.unsettled)
            await asyncio.sleep(self._policy.progress_seconds)

    async def _failed(self, message: Arrived, error: Exception) -> None:
        use_traceparent(header(message.headers, TRACEPARENT))  # even if the event could not be parsed
        delivered = delivery(message.reply)
        log.warning(
            "event not handled",
            queue=self._name,
            subject=message.subject,
            tries=delivered.tries,
            why=str(error) or type(error).__name__,
            exc_info=None if isinstance(error, Busy) else error,
        )
        try:
            if delivered.tries < self._policy.most_deliveries or isinstance(error, (Busy, LogFull)):
                delay = self._policy.retry.after(delivered.tries)
                await self._nc.publish(message.reply, NAK % nanoseconds(delay))
                return
            await self._dead_letters.keep(
                self._name,
                message.subject.split(".")[self._id_token],
                message.data,
                "not-handled",
                _words(error),
                source=message.subject,
                source_seq=delivered.seq,
            )
            await self._nc.publish(message.reply, TERM)
        except Exception as lost:
            log.warning("could not settle, will come again", queue=self._name, error=str(lost))


def _words(error: Exception) -> str:
    """The error as text, without the input that a validation error shows, since that may hold secrets."""
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
    return Due(Deadline(kind, TaskId(task_id), int(attempt)), delivery(message.reply).at, message.data)


class JetStreamEventQueue:
    """Port `EventQueue` on the log."""

    def __init__(
        self,
        connection: Client,
        dead_letters: DeadLetters,
        name: str,
        wanted: Sequence[EventFilter],
        policy: QueuePolicy = POLICY,
    ) -> None:
        self._queue = DurableQueue(
            connection,
            dead_letters,
            stream=Stream.LOG,
            name=name,
            subjects=[subject_of(one) for one in wanted],
            policy=policy,
        )

    async def consume(self, handle: Callable[[Recorded], Awaitable[None]]) -> None:
        """See the port."""
        await self._queue.run(_event, handle)


class JetStreamDueQueue:
    """Port `DueQueue` on stream TOWPATH_TIMER, for one kind of deadline."""

    def __init__(
        self, connection: Client, dead_letters: DeadLetters, kind: str, policy: QueuePolicy = POLICY
    ) -> None:
        self._queue = DurableQueue(
            connection,
            dead_letters,
            stream=Stream.TIMER,
            name=f"due-{kind}",
            subjects=[subjects.timer_due(kind)],
            id_token=4,
            policy=policy,
        )

    async def consume(self, handle: Callable[[Due], Awaitable[None]]) -> None:
        """See the port."""
        await self._queue.run(_due, handle)
