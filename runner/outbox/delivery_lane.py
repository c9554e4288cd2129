"""Delivery lane: all reports for one destination, an HTTP origin or NATS.

It is a circuit breaker: while the destination fails, one report at a time probes it, at growing and jittered
intervals, so that an outage floods neither side. A report that fails by itself waits by itself. Memory holds
a task id per task, never a report.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from domain.backoff import Backoff
from domain.identifiers import TaskId
from domain.lifecycle.asyncio_tasks import end_tasks, wait_at_most
from runner.clock import boottime
from runner.outbox.transports import ReportAnswer

AT_ONCE = 16
SOON_SECONDS = 0.2
RETRY = Backoff(first_seconds=0.2, longest_seconds=15.0)
LONGEST_WISH_SECONDS = 60.0
IDLE_SECONDS = 60.0

_order = itertools.count()
Send = Callable[[TaskId], Awaitable[ReportAnswer]]


class Lane:
    """Tasks whose oldest report goes to this destination. `send` sends it and returns the answer.

    After `accepted` and `rejected` the task leaves the lane; a further report adds it again.
    """

    def __init__(self, send: Send, retry: Backoff = RETRY) -> None:
        self._send = send
        self._retry = retry
        self._line: deque[TaskId] = deque()
        self._later: list[tuple[float, int, TaskId]] = []
        self._failures = Counter[TaskId]()
        self._busy: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._blocks = 0
        self._opens_at = self._blocked_at = 0.0
        self.trouble: str | None = None

    @property
    def empty(self) -> bool:
        return not (self._line or self._later or self._busy)

    def add(self, task_id: TaskId) -> None:
        """The task has a report. While the destination fails, it is the next probe, and soon."""
        if self._blocks:
            self._line.appendleft(task_id)
            self._opens_at = min(self._opens_at, boottime() + SOON_SECONDS)
        else:
            self._line.append(task_id)
        self._changed.set()

    def hurry(self) -> None:
        """Probe now: the destination may be back."""
        self._line.extend(task_id for _, _, task_id in sorted(self._later))
        self._later.clear()
        self._opens_at = 0.0
        self._changed.set()

    async def run(self) -> None:
        """Run until canceled."""
        try:
            while True:
                self._changed.clear()
                self._begin()
                await wait_at_most(self._changed, self._patience())
        finally:
            await end_tasks(self._busy)

    def _begin(self) -> None:
        at = boottime()
        while self._later and self._later[0][0] <= at:
            self._line.append(heapq.heappop(self._later)[2])
        room = 1 if self._blocks else AT_ONCE
        while self._line and len(self._busy) < room and at >= self._opens_at:
            task = asyncio.create_task(self._try(self._line.popleft()))
            self._busy.add(task)

    def _patience(self) -> float:
        timers = [IDLE_SECONDS]
        if self._later:
            timers.append(self._later[0][0] - boottime())
        if self._line and self._blocks and not self._busy:
            timers.append(self._opens_at - boottime())
        return max(0.0, min(timers))

    async def _try(self, task_id: TaskId) -> None:
        began = boottime()
        try:
            answer = await self._send(task_id)
            if answer.outcome == "blocked":
                self._line.append(task_id)
                self._block(answer, began)
            else:
                self._free()
                if answer.outcome == "retry":
                    self._put_off(task_id, answer)
                else:
                    del self._failures[task_id]
        finally:
            this = asyncio.current_task()
            assert this is not None
            self._busy.discard(this)
            self._changed.set()

    def _free(self) -> None:
        self._blocks = 0
        self._opens_at = 0.0
        self.trouble = None

    def _block(self, answer: ReportAnswer, began: float) -> None:
        self.trouble = answer.detail
        if began < self._blocked_at:
            return  # sent before the failure was known: it is counted already
        self._blocked_at = boottime()
        self._blocks += 1
        self._opens_at = self._blocked_at + _jittered(self._retry.after(self._blocks), answer)

    def _put_off(self, task_id: TaskId, answer: ReportAnswer) -> None:
        self._failures[task_id] += 1
        pause = self._retry.after(self._failures[task_id])
        heapq.heappush(self._later, (boottime() + _jittered(pause, answer), next(_order), task_id))


def _jittered(pause: float, answer: ReportAnswer) -> float:
    """Seconds until the next try: the server's Retry-After, within bounds, but at least the pause."""
    return max(pause, min(answer.after or 0.0, LONGEST_WISH_SECONDS)) * random.uniform(0.75, 1.25)
