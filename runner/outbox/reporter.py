"""Delivers the outbox: in order per task, until each report is answered.

Delivery: a report is on the disk before it is sent, and deleted when it is answered. So a crash repeats
reports and loses none; the control plane handles reports idempotently. A rejection (4xx) ends that one
report, never the later ones. Tasks do not wait for each other, nor do lanes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import structlog

from domain.backoff import Backoff
from domain.context.log_context import about
from domain.context.trace import under_traceparent
from domain.context.tracer import Kind, Tracer, about_attempt, spanning
from domain.identifiers import TaskId
from domain.lifecycle.asyncio_tasks import end_tasks, wait_at_most
from runner.clock import boottime
from runner.errors import StateTrouble
from runner.outbox.delivery_lane import RETRY, Lane
from runner.outbox.transports import ReportAnswer, ReportTransport, answered_seq
from runner.store.disk_guard import Storage
from runner.store.state import OutboxRow, RunnerState, Transport

UNREADABLE_SECONDS = 1.0
DRAIN_SECONDS = 5.0
FINAL = {"succeeded", "failed", "canceled"}

_KINDS: dict[Transport, Kind] = {"http": "client", "nats": "producer"}

log = structlog.get_logger(__name__)


class Reporter:
    """Assigns each task with unanswered reports to one lane; a lane is one destination."""

    def __init__(
        self,
        state: RunnerState,
        storage: Storage,
        transports: Mapping[Transport, ReportTransport],
        tracer: Tracer | None = None,
        *,
        retry: Backoff = RETRY,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._state = state
        self._storage = storage
        self._transports = transports
        self._tracer = tracer
        self._retry = retry
        self._drain_seconds = drain_seconds
        self._lanes: dict[str, Lane] = {}
        self._running: list[asyncio.Task[None]] = []
        self._known: set[TaskId] = set()
        self._waiting: dict[int, asyncio.Future[ReportAnswer]] = {}
        self._progress = asyncio.Event()
        self._said: dict[str, str | None] = {}

    async def start(self) -> None:
        """Load unanswered reports of an earlier run. Raises StateTrouble."""
        for task_id in self._state.pending_tasks():
            self.wake(task_id)

    def wake(self, task_id: TaskId) -> None:
        """The outbox has a new report of this task."""
        if task_id not in self._known:
            self._known.add(task_id)
            self._enlist(task_id)

    def hurry(self) -> None:
        """A destination may be back: retry waiting reports now."""
        for lane in self._lanes.values():
            lane.hurry()

    def troubles(self) -> dict[str, str]:
        """Destinations that fail now, and why."""
        return {way: lane.trouble for way, lane in self._lanes.items() if lane.trouble}

    async def answer_to(self, row_id: int) -> ReportAnswer:
        """Wait until the report with this id is answered, without a timeout."""
        try:
            return await self._waiting.setdefault(row_id, asyncio.get_running_loop().create_future())
        finally:
            self._waiting.pop(row_id, None)

    async def drain(self, seconds: float) -> bool:
        """Whether every report was answered within `seconds`."""
        self.hurry()
        end = boottime() + seconds
        while self._known and boottime() < end:
            self._progress.clear()
            await wait_at_most(self._progress, end - boottime())
        return not self._known

    async def stop(self) -> None:
        """Send what can be sent in DRAIN_SECONDS; the next start sends the rest."""
        if not await self.drain(self._drain_seconds):
            log.warning("reports are left in the outbox; the next start sends them")
        await end_tasks(self._running)

    def _enlist(self, task_id: TaskId) -> None:
        """Assign the task to the lane of its oldest report, or drop it if it has none."""
        try:
            row = self._state.pending(task_id)
        except StateTrouble as trouble:
            self._storage.note(trouble)
            asyncio.get_running_loop().call_later(UNREADABLE_SECONDS, self._enlist, task_id)
            return
        if row is None:
            self._known.discard(task_id)
            self._progress.set()
        else:
            self._lane(_way(row)).add(task_id)

    def _lane(self, way: str) -> Lane:
        if way not in self._lanes:
            lane = self._lanes[way] = Lane(lambda task_id: self._pass(way, task_id), self._retry)
            self._running.append(asyncio.create_task(lane.run(), name=f"reports to {way}"))
        return self._lanes[way]

    async def _pass(self, way: str, task_id: TaskId) -> ReportAnswer:
        """Send the task's oldest report; once it is answered, assign the task to the next one's lane."""
        try:
            return await self._deliver(way, task_id)
        except StateTrouble as trouble:
            return ReportAnswer("blocked", str(trouble))
        except Exception as error:  # a defect shown by one report must not lose it or stop the others
            log.exception("report broke", task=task_id)
            return ReportAnswer("retry", type(error).__name__)

    async def _deliver(self, way: str, task_id: TaskId) -> ReportAnswer:
        row = await self._storage.keep(lambda: self._state.pending(task_id))
        assert row is not None
        with about(*row.key), under_traceparent(row.traceparent):
            return await self._send(way, row)

    async def _send(self, way: str, row: OutboxRow) -> ReportAnswer:
        transport = self._transports.get(row.transport)
        if transport is None:
            answer = ReportAnswer(
                "blocked", f"this runner was started without {row.transport}: start it with it"
            )
        else:
            answer = await self._traced(transport, row)
        self._say(way, row, answer)
        if answer.outcome in {"accepted", "rejected"}:
            # Over HTTP the answer to an end settles the attempt; over NATS the log does (Follower.settle).
            settles = row.transport == "http" and row.report.status in FINAL
            await self._storage.keep(lambda: self._state.answered(row, settles=settles))
            waiting = self._waiting.pop(row.id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
            self._enlist(row.key.task_id)
        return answer

    async def _traced(self, transport: ReportTransport, row: OutboxRow) -> ReportAnswer:
        status, kind = row.report.status, _KINDS[row.transport]
        about = about_attempt(*row.key)
        with spanning(self._tracer, f"report {status}", kind, about) as span:
            answer = await transport.send(row)
            if span is not None and answer.outcome != "accepted":
                span.fail(answer.detail)
            return answer

    def _say(self, way: str, row: OutboxRow, answer: ReportAnswer) -> None:
        status = row.report.status
        if answer.outcome == "blocked":
            if self._said.get(way) != answer.detail:
                log.warning("reports wait, their way is blocked", way=way, detail=answer.detail)
            self._said[way] = answer.detail
            return
        if self._said.pop(way, None) is not None:
            log.info("reports go out again", way=way)
        if answer.outcome == "accepted":
            log.info("report answered", status=status, detail=answer.detail, sequence=answered_seq(answer))
        elif answer.outcome == "rejected":
            log.warning("report refused, dropped", status=status, detail=answer.detail)
        else:
            log.warning("report waits", status=status, detail=answer.detail)


def _way(row: OutboxRow) -> str:
    if row.transport == "nats" or row.url is None:
        return row.transport
    parts = urlsplit(row.url)
    return f"{parts.scheme}://{parts.netloc}"
