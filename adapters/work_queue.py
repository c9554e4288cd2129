"""Work shared through a durable JetStream consumer: events to act on, and deadlines that came due.

Delivery: at least once. A message is acknowledged when its handler returns; while a handler takes long it
is told so; a handler that raises gets it again with growing delay, and after the last try it is kept as a
dead letter with the reason, so that one poisoned message never stops the rest. While the log itself is away
or full, nothing is wrong with the message: it comes again for as long as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from adapters.codec import decode
from domain.about import be_about
from domain.dead_letters import DeadLetters
from domain.errors import Busy, LogFull
from domain.log import Recorded
from domain.ports.queues import Deadline, Due
from domain.trace import TRACEPARENT, use_traceparent

CONCURRENCY = 64
FETCH_SECONDS = 2.0
LATE_SECONDS = 0.1
ACK_WAIT_SECONDS = 6.0
PROGRESS_SECONDS = 2.0
MAX_DELIVER = 12
RETRY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0

Item = TypeVar("Item")
log = structlog.get_logger(__name__)


class DurableQueue:
    """One durable pull consumer; any number of processes may share it."""

    def __init__(
        self,
        connection: Client,
        dead_letters: DeadLetters,
        *,
        stream: str,
        name: str,
        subjects: Sequence[str],
        id_token: int = 2,
    ) -> None:
        """`id_token`: which token of a subject names what it is about, for dead letters."""
        self._nc = connection
        self._dead_letters = dead_letters
        self._stream = stream
        self._name = name
        self._subjects = list(subjects)
        self._id_token = id_token
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._unsettled = 0
        self._room = asyncio.Event()
        self._room.set()

    async def run(self, parse: Callable[[Msg], Item], handle: Callable[[Item], Awaitable[None]]) -> None:
        """Fetch and handle for ever; up to CONCURRENCY at once, in no particular order."""
        async with asyncio.TaskGroup() as group:
            while not _canceled():
                subscription = None
                try:
                    subscription = await self._subscribe()
                    await self._pull(subscription, parse, handle, group)
                except (nats.errors.Error, TimeoutError) as error:
                    if self._nc.is_closed:
                        raise
                    log.warning("queue not reachable, will retry", queue=self._name, error=repr(error))
                    await asyncio.sleep(RETRY_SECONDS)
                finally:
                    if subscription is not None:
                        with contextlib.suppress(nats.errors.Error):
                            await subscription.unsubscribe()

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        jetstream = self._nc.jetstream()
        await jetstream.add_consumer(
            self._stream,
            ConsumerConfig(
                durable_name=self._name,
                filter_subjects=self._subjects,
                ack_policy=AckPolicy.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_SECONDS,
                max_deliver=-1,
                max_ack_pending=10_000,
            ),
        )
        return await jetstream.pull_subscribe_bind(self._name, self._stream)

    async def _pull(
        self,
        subscription: JetStreamContext.PullSubscription,
        parse: Callable[[Msg], Item],
        handle: Callable[[Item], Awaitable[None]],
        group: asyncio.TaskGroup,
    ) -> None:
        idle = 0
        while not _canceled():
            await self._room.wait()
            try:
                messages = await subscription.fetch(CONCURRENCY, timeout=FETCH_SECONDS)
                idle = 0
            except TimeoutError:
                # The server's word that a request is over may come just after nats-py's timer. Taken for the
                # next request's, it leaves two under way, and events that come for one wait for the other.
                await asyncio.sleep(LATE_SECONDS)
                idle += 1
                if idle % 3 == 0:
                    await self._nc.jetstream().consumer_info(self._stream, self._name)
                continue
            for message in messages:
                self._count(+1)
                group.create_task(self._settle(message, parse, handle))

    def _count(self, change: int) -> None:
        """Keep at most CONCURRENCY messages waiting beside those at work, so that fetches stay large."""
        self._unsettled += change
        if self._unsettled > CONCURRENCY:
            self._room.clear()
        else:
            self._room.set()

    async def _settle(
        self, message: Msg, parse: Callable[[Msg], Item], handle: Callable[[Item], Awaitable[None]]
    ) -> None:
        try:
            async with self._slots:
                use_traceparent((message.headers or {}).get(TRACEPARENT))
                await self._work(message, handle(parse(message)))
        except Exception as error:
            await self._failed(message, error)
        else:
            try:
                await message.ack()
            except nats.errors.Error as error:
                log.warning("acknowledgement lost, will come again", queue=self._name, error=repr(error))
        finally:
            self._count(-1)

    async def _work(self, message: Msg, handling: Awaitable[None]) -> None:
        """Run a handler to its end; while it takes long, the server is told not to deliver it again."""
        working = asyncio.ensure_future(handling)
        try:
            while not (await asyncio.wait({working}, timeout=PROGRESS_SECONDS))[0]:
                with contextlib.suppress(nats.errors.Error):
                    await message.in_progress()
            working.result()
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait({working})

    async def _failed(self, message: Msg, error: Exception) -> None:
        tries = message.metadata.num_delivered or 1
        log.warning(
            "event not handled", queue=self._name, subject=message.subject, tries=tries, exc_info=error
        )
        try:
            if tries < MAX_DELIVER or isinstance(error, (Busy, LogFull)):
                await message.nak(min(RETRY_SECONDS * 2 ** min(tries, 10), MAX_DELAY_SECONDS))
                return
            subject_id = message.subject.split(".")[self._id_token]
            await self._dead_letters.keep(
                self._name,
                subject_id,
                message.data,
                "not-handled",
                _words(error),
                source=message.subject,
                source_seq=message.metadata.sequence.stream,
            )
            await message.term()
        except Exception as lost:
            log.warning("could not settle, will come again", queue=self._name, error=str(lost))


def _words(error: Exception) -> str:
    """What went wrong, without the input that a validation error would show: it may hold secrets."""
    if isinstance(error, ValidationError):
        found = (
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)
        )
        return f"{error.title}: {'; '.join(found)}"
    return repr(error)


def _canceled() -> bool:
    """Whether this task was canceled: nats-py waits with wait_for, which may lose the exception."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _event(message: Msg) -> Recorded:
    event = decode(message.metadata.sequence.stream, message.subject, message.headers or {}, message.data)
    be_about(event.task_id, event.attempt, event.seq)
    return event


def _due(message: Msg) -> Due:
    kind, task_id, attempt = message.subject.split(".")[-3:]
    be_about(task_id, int(attempt))
    return Due(Deadline(kind, task_id, int(attempt)), message.metadata.timestamp, message.data)


class JetStreamEventQueue:
    """Port `EventQueue` on the log."""

    def __init__(
        self, connection: Client, dead_letters: DeadLetters, name: str, subjects: Sequence[str]
    ) -> None:
        self._queue = DurableQueue(connection, dead_letters, stream="TOWPATH", name=name, subjects=subjects)

    async def consume(self, handle: Callable[[Recorded], Awaitable[None]]) -> None:
        """See the port."""
        await self._queue.run(_event, handle)


class JetStreamDueQueue:
    """Port `DueQueue` on stream TOWPATH_TIMER, for one kind of deadline."""

    def __init__(self, connection: Client, dead_letters: DeadLetters, kind: str) -> None:
        self._queue = DurableQueue(
            connection,
            dead_letters,
            stream="TOWPATH_TIMER",
            name=f"due-{kind}",
            subjects=[f"towpath.timer.due.{kind}.*.*"],
            id_token=4,
        )

    async def consume(self, handle: Callable[[Due], Awaitable[None]]) -> None:
        """See the port."""
        await self._queue.run(_due, handle)
