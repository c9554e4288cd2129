"""Sends what the outbox holds, in order per task, until each report is answered.

Delivery: a report is on the disk before it is sent and leaves it when it is answered, so a crash
repeats reports and loses none; the control plane takes repetitions calmly. An answer that says no
(4xx) ends that one report, never those behind it. Tasks do not wait for each other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog

from runner.state import OutboxRow, RunnerState, Transport
from runner.tasks import end_tasks, wait_at_most
from runner.transports import Answer, ReportTransport

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0
AT_ONCE = 16

log = structlog.get_logger(__name__)


class Reporter:
    """One worker per task with unanswered reports."""

    def __init__(
        self,
        state: RunnerState,
        transports: Mapping[Transport, ReportTransport],
        on_answered: Callable[[OutboxRow], None],
    ) -> None:
        self._state = state
        self._transports = transports
        self._on_answered = on_answered
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._hurry = asyncio.Event()

    def start(self) -> None:
        """Take up what an earlier run left in the outbox."""
        for task_id in self._state.pending_tasks():
            self.wake(task_id)

    def wake(self, task_id: str) -> None:
        """There is a new report of this task in the outbox."""
        if task_id not in self._workers:
            self._workers[task_id] = asyncio.create_task(self._work(task_id), name=f"report {task_id}")

    def hurry(self) -> None:
        """The way may be free again: try now what waits for its next turn."""
        self._hurry.set()
        self._hurry = asyncio.Event()

    async def answer_to(self, row_id: int) -> Answer:
        """Wait until the report with this id is answered, however long that takes."""
        return await self._waiting.setdefault(row_id, asyncio.get_running_loop().create_future())

    async def drain(self, seconds: float) -> bool:
        """Whether every report was answered within `seconds`."""
        self.hurry()
        if self._workers:
            await asyncio.wait(self._workers.values(), timeout=seconds)
        return not self._workers

    async def stop(self) -> None:
        await end_tasks(self._workers.values())

    async def _work(self, task_id: str) -> None:
        try:
            while row := self._state.pending(task_id):
                self._finish(row, await self._deliver(row))
        finally:
            del self._workers[task_id]

    async def _deliver(self, row: OutboxRow) -> Answer:
        pause = FIRST_PAUSE_SECONDS
        while True:
            hurry = self._hurry
            transport = self._transports.get(row.transport)
            if transport is None:
                answer = Answer("retry", f"this runner was started without {row.transport}")
            else:
                async with self._room:
                    answer = await transport.send(row)
            if answer.outcome != "retry":
                return answer
            log.info("report waits", **_names(row), detail=answer.detail, pause_seconds=round(pause, 1))
            await wait_at_most(hurry, pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _finish(self, row: OutboxRow, answer: Answer) -> None:
        self._state.answered(row)
        if answer.outcome == "rejected":
            log.warning("report refused, dropped", **_names(row), detail=answer.detail)
        else:
            log.info("report answered", **_names(row), detail=answer.detail)
        waiting = self._waiting.pop(row.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        self._on_answered(row)


def _names(row: OutboxRow) -> dict[str, object]:
    return {"task_id": row.key.task_id, "attempt": row.key.attempt, "status": row.report.status}
