"""Runners' reports over NATS: the callback gateway behind a durable work queue.

Each report is validated and settled by itself (`api.reports.settlement`): one task's reports in order,
different tasks concurrently.
"""

from __future__ import annotations

import asyncio

from api.dependencies import ApiParts
from api.metrics.registry import Metrics
from api.reports.settlement import ANSWER_SECONDS, Settlement, delay_seconds
from domain.errors import Busy
from domain.lifecycle.service import Background
from domain.ports.queues import QueuedReport, ReportQueue

STOP_SECONDS = 15.0


class ReportIntake(Background):
    """Takes reports from `queue`."""

    def __init__(self, parts: ApiParts, queue: ReportQueue, metrics: Metrics | None = None) -> None:
        super().__init__(lambda: self._queue.consume(self.handle))
        self._settlement = Settlement(parts, metrics)
        self._queue = queue
        self._last: dict[str, asyncio.Future[bool]] = {}

    async def start(self) -> None:
        """Take reports from now on; the stream must exist.

        Raises:
            Busy: their queue could not be opened; start again.
        """
        if self.task is not None:
            return
        try:
            await self._queue.open()
        except Busy as error:
            why = f"the queue of reports over NATS cannot be opened ({error.detail})"
            raise Busy(error.code, f"{why}; is JetStream up? Start again in a moment") from error
        await super().start()

    @property
    def connected(self) -> bool:
        """Whether reports can come at all."""
        return self.task is not None and not self.task.done() and self._queue.reading

    async def stop(self) -> None:
        """Take no more reports, and settle those that were taken; may be called twice."""
        if self.task is not None:
            await self._queue.stop()
            await asyncio.wait({self.task}, timeout=STOP_SECONDS)
        await super().stop()

    async def handle(self, report: QueuedReport) -> float | None:
        """Settle a report after those of its task that came before: None, or when it has to come again.

        Once one has to come again, those that wait for it come again behind it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ANSWER_SECONDS
        before, mine = self._last.get(report.task_id), loop.create_future()
        self._last[report.task_id] = mine
        settled = False
        try:
            await asyncio.sleep(0)  # those that arrived with it take their places behind it
            if before is not None and not await asyncio.shield(before):
                return 2 * delay_seconds(report.deliveries)
            seconds = await self._settlement.settle(report, deadline)
            settled = seconds is None
            return seconds
        finally:
            mine.set_result(settled)
            if self._last[report.task_id] is mine:
                del self._last[report.task_id]
