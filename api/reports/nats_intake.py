"""Runners' reports over NATS: a FastStream subscriber in front of the callback gateway.

Reports wait in stream TOWPATH_REPORT while the API is down. Each call gets one raw message, since an invalid
body must not fail its neighbours. Each is validated and settled by itself: one task's reports in order,
different tasks concurrently. The consumer has no limit of deliveries (a work queue would keep the message,
invisibly); `api.reports.settlement` has one, and stores a dead letter first.
"""

from __future__ import annotations

import asyncio
from typing import Any

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.js.api import AckPolicy as ConsumerAck
from nats.js.api import ConsumerConfig, DeliverPolicy

from api.dependencies import ApiParts
from api.metrics.registry import Metrics
from api.reports.settlement import Settlement, Taken, delay_seconds, deliveries, put_back, taken
from domain import subjects
from domain.services.ordered_work import OrderedWork
from domain.subjects import Stream

DURABLE = "report-intake"
AT_ONCE = 400  # from here on no more are fetched
BATCH = 16
PULL_SECONDS = 0.25  # a message may wait so long for a request that no answer ends: see ADR 20
ACK_WAIT_SECONDS = 15.0  # longer than a report may take; redelivery after a killed API takes as long
STOP_SECONDS = 15.0


class ReportIntake:
    """Takes reports from NATS while the subscriber runs that `subscribe` declares."""

    def __init__(self, parts: ApiParts, metrics: Metrics | None = None) -> None:
        self._settlement = Settlement(parts, metrics)
        self._work = self._open()

    def _open(self) -> OrderedWork[Taken]:
        return OrderedWork(self._settlement.settle, _behind, AT_ONCE)

    def subscribe(self, broker: NatsBroker) -> None:
        """Declare the subscriber; the stream must exist when the broker starts."""
        self._work = self._open()
        broker.subscriber(
            subjects.report(),
            stream=JStream(Stream.REPORT, declare=False),
            durable=DURABLE,
            pull_sub=PullSub(batch_size=BATCH, timeout=PULL_SECONDS),
            config=ConsumerConfig(
                ack_policy=ConsumerAck.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_SECONDS,
                max_deliver=-1,
                max_ack_pending=5 * AT_ONCE,
            ),
            decoder=_undecoded,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )(self.take)

    async def take(self, message: NatsMessage) -> None:
        """Queue one report after the others of its task; returns once there is room for the next."""
        report = message.raw_message
        if not self._work.add(report.subject, taken(report)):
            await put_back(report, 0.0)
        await self._work.room()

    async def stop(self) -> None:
        """Settle started reports and return the others to the queue at once; take no more."""
        for report in self._work.close():
            await put_back(report.message, 0.0)
        await asyncio.gather(asyncio.sleep(PULL_SECONDS), self._work.ended(STOP_SECONDS))


async def _behind(report: Taken) -> None:
    """Redeliver a report after an earlier one of its task that is redelivered."""
    await put_back(report.message, 2 * delay_seconds(deliveries(report.message)))


async def _undecoded(message: NatsMessage) -> Any:
    return message
