"""Runners' reports, which wait in stream TOWPATH_REPORT while no API takes them.

Delivery: at least once. A report is acknowledged when its handler has settled it, and comes again after the
delay that the handler asks for, or ACK_WAIT_SECONDS after its process was killed. There is no limit of
deliveries: a work queue would keep the message, invisibly. So the handler has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import nats.errors
import structlog
from nats.aio.client import Client

from adapters.nats.message import Arrived
from adapters.nats.pull_consumer import nanoseconds, tries
from adapters.queues.durable_consumer import TIMING, ConsumerTiming, DurableConsumer
from adapters.queues.work_queue import ACK, NAK
from domain import subjects
from domain.identifiers import TaskId
from domain.ports.queues import QueuedReport
from domain.subjects import Stream

DURABLE = "report-intake"
BATCH = 200
TURNS = 2  # one waits for the log, the other is worked on
ACK_WAIT_SECONDS = 15.0  # longer than a report may take
Handle = Callable[[QueuedReport], Awaitable[float | None]]
log = structlog.get_logger(__name__)


class JetStreamReportQueue:
    """Port `ReportQueue`; at most two batches are in one process."""

    def __init__(
        self,
        connection: Client,
        *,
        ack_wait_seconds: float = ACK_WAIT_SECONDS,
        timing: ConsumerTiming = TIMING,
    ) -> None:
        self._nc = connection
        self._arrived: list[Arrived] = []
        self._working = 0
        config = {
            "filter_subject": subjects.report(),
            "ack_wait": nanoseconds(ack_wait_seconds),
            "max_deliver": -1,
            "max_ack_pending": 10 * BATCH,
        }
        self._consumer = DurableConsumer(
            connection, Stream.REPORT, DURABLE, config, batch=BATCH, waiting=BATCH // 2, timing=timing
        )

    @property
    def reading(self) -> bool:
        """See the port."""
        return self._nc.is_connected and self._consumer.reading

    async def open(self) -> None:
        """See the port. Raises LogUnreachable."""
        await self._consumer.make()

    async def consume(self, handle: Handle) -> None:
        """See the port."""
        async with asyncio.TaskGroup() as group:

            def take(message: Arrived) -> None:
                self._arrived.append(message)
                if self._working < TURNS:
                    self._working += 1
                    group.create_task(self._work(handle))

            await self._consumer.run(take)

    async def stop(self) -> None:
        """See the port."""
        await self._consumer.stop()

    async def _work(self, handle: Handle) -> None:
        """Settle what has arrived, all at once, until nothing has: so writes are few and large under load."""
        try:
            while self._arrived:
                turn, self._arrived = self._arrived, []
                await asyncio.gather(*(self._settle(message, handle) for message in turn))
        finally:
            self._working -= 1

    async def _settle(self, message: Arrived, handle: Handle) -> None:
        try:
            seconds = await handle(_report(message))
            await self._nc.publish(message.reply, ACK if seconds is None else NAK % nanoseconds(seconds))
        except nats.errors.Error as error:
            log.warning("acknowledgement lost, will come again", queue=DURABLE, error=repr(error))
        except Exception as error:
            log.error("report not handled, will come again", subject=message.subject, exc_info=error)
        finally:
            self._consumer.release(message)


def _report(message: Arrived) -> QueuedReport:
    task_id = TaskId(message.subject.rpartition(".")[2])
    return QueuedReport(task_id, message.data, message.headers, tries(message.reply))
