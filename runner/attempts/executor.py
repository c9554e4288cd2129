"""Executor: accepts attempts and runs at most `capacity` of them; as many more may wait.

An attempt is held once it is stored durably; only then does an intake answer 202 or acknowledge. The same
(task, attempt) is accepted once, also across restarts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import structlog

from domain.context.log_context import about, be_about
from domain.context.trace import current_traceparent, under_traceparent, use_traceparent
from domain.context.tracer import Span, about_attempt
from domain.identifiers import TaskId
from domain.lifecycle.asyncio_tasks import end_tasks, wait_at_most
from domain.protocol import FailedReason, Held, Report, Submission
from runner.attempts.attempt_run import AttemptContext, AttemptRun
from runner.attempts.report_mapping import Final, unstarted_report
from runner.attempts.workspace import check_workspace
from runner.clock import utcnow
from runner.control.follower import Follower
from runner.control.start_gate import Standing
from runner.errors import StateTrouble, SubmissionRefused
from runner.outbox.origins import check_callback_url
from runner.outbox.reporter import Reporter
from runner.process.orphans import nothing_left
from runner.store.state import HELD, Attempt, Key, Transport

STOP_MARGIN_SECONDS = 10.0
ROOM_SECONDS = 5.0
ASK_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Executor:
    """All attempts of this runner that have not ended."""

    def __init__(
        self,
        bench: AttemptContext,
        reporter: Reporter,
        follower: Follower | None,
        canceled: Callable[[Key], Awaitable[bool]] | None,
    ) -> None:
        self._bench = bench
        self._reporter = reporter
        self._follower = follower
        self._canceled = canceled
        self._runs: dict[Key, AttemptRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False
        self._left = asyncio.Event()

    # -- taking in

    def accept(self, submission: Submission, intake: Transport) -> Attempt:
        """Hold the attempt; returns the stored one if it is known already. Raises SubmissionRefused.

        It joins the current trace, which its process and its reports continue.
        """
        try:
            with about(submission.task_id, submission.attempt):
                return self._accept(submission, intake)
        except StateTrouble as trouble:
            self._bench.storage.note(trouble)
            raise SubmissionRefused(507, "no-storage", str(trouble)) from None

    def _accept(self, submission: Submission, intake: Transport) -> Attempt:
        key = Key(submission.task_id, submission.attempt)
        known = self._bench.state.find(key)
        if known is not None:
            return known
        transport = self._check(submission, intake)
        queued = Report(status="queued", attempt=key.attempt, runner_id=self._bench.runner_id)
        span = self._span(key, submission)
        with under_traceparent(span.traceparent if span is not None else current_traceparent()):
            # over HTTP the 202 means `queued`
            self._bench.state.accept(submission, transport, queued if intake == "nats" else None)
            attempt = _accepted(key, submission, transport)
            log.info("attempt accepted", intake=intake)
            self._reporter.wake(key.task_id)
            self._begin(attempt, span)
        return attempt

    def _span(self, key: Key, submission: Submission) -> Span | None:
        """The span of the attempt on this host; its storage, processes and reports are child spans."""
        tracer = self._bench.tracer
        if tracer is None:
            return None
        about = about_attempt(*key)
        about["towpath.runner_id"] = self._bench.runner_id
        if submission.workspace is not None:
            about["towpath.workspace"] = submission.workspace.id
            about["towpath.lock_token"] = submission.workspace.lock_token
        return tracer.start("attempt", "consumer", current_traceparent(), about)

    def refuse(self, submission: Submission, error: SubmissionRefused) -> None:
        """Report `failed` for an intake that cannot answer. Raises StateTrouble."""
        key = Key(submission.task_id, submission.attempt)
        self._bench.state.accept(submission, "nats", None)
        attempt = _accepted(key, submission, "nats")
        report = self._unstarted(attempt, "failed", error.message, "error")
        log.warning("attempt refused", task=key.task_id, attempt=key.attempt, why=error.message)
        self._bench.state.end(attempt, "failed", report)
        self._reporter.wake(key.task_id)

    async def room(self) -> None:
        """Wait until another attempt can be accepted and stored."""
        while True:
            await self._bench.storage.wait_usable()
            if self._open and not self._full():
                return
            self._left.clear()
            await wait_at_most(self._left, ROOM_SECONDS)

    # -- steering

    def cancel(self, task_id: TaskId, attempt: int | None) -> Attempt | None:
        """End the newest (or the named) attempt of the task if it runs; None if none is known."""
        held = [key for key in self._runs if key.task_id == task_id and attempt in {None, key.attempt}]
        if held:
            self._runs[max(held)].cancel()
        state = self._bench.state
        return state.newest(task_id) if attempt is None else state.find(Key(task_id, attempt))

    def cancel_held(self, key: Key) -> None:
        """End an attempt that the control plane no longer wants."""
        if key in self._runs:
            self._runs[key].cancel()

    def see(self, key: Key, standing: Standing) -> None:
        """Act on what the log says about a held attempt."""
        run = self._runs.get(key)
        if run is not None and standing is Standing.CANCEL:
            run.cancel()
        elif run is not None and standing is Standing.OVER:
            run.forget()

    def renew(self, deadline: float) -> None:
        """The lease lasts until `deadline` (CLOCK_BOOTTIME)."""
        for run in self._runs.values():
            run.renew(deadline)

    def held(self) -> list[Held]:
        return [Held(task_id=key.task_id, attempt=key.attempt) for key in self._bench.state.held()]

    # -- beginning and end of the runner

    async def start(self) -> None:
        """Take attempts from now on; report what an earlier run held as lost, once nothing of it is left."""
        self._open = True
        for attempt in self._bench.state.unsettled():
            if attempt.phase != "ended":
                self._spawn(self._give_up(attempt))

    async def stop(self) -> None:
        """End all attempts; returns when they have ended, or after grace and a margin."""
        self._open = False
        for run in list(self._runs.values()):
            run.stop()
        running = [run.finished.wait() for run in self._runs.values()]
        bound = self._bench.config.kill_grace_seconds + STOP_MARGIN_SECONDS
        if running:
            await asyncio.wait([asyncio.ensure_future(wait) for wait in running], timeout=bound)
        for key, run in self._runs.items():
            if not run.finished.is_set():
                log.error("end not kept, it will be runner-lost", task=key.task_id, attempt=key.attempt)
        await end_tasks(self._tasks)

    # -- inside

    def _full(self) -> bool:
        busy = len(self._runs) >= 2 * self._bench.config.capacity
        return busy or len(self._bench.state.held()) >= HELD - 2 * self._bench.config.capacity

    def _check(self, submission: Submission, intake: Transport) -> Transport:
        """The transport of this attempt's reports. Raises SubmissionRefused."""
        bench = self._bench
        if not self._open:
            raise SubmissionRefused(503, "stopping", "this runner is stopping: submit to another one")
        if not bench.storage.usable():
            raise SubmissionRefused(507, "no-storage", bench.storage.trouble or "")
        if intake == "http" and self._full():
            raise SubmissionRefused(503, "busy", "this runner is busy and its queue is full: try again later")
        check_workspace(submission, bench.config.roots)
        if intake == "nats":
            return "nats"
        if submission.status_callback_url is not None:
            check_callback_url(submission.status_callback_url, bench.config.allowed_callback_origins)
            return "http"
        if "nats" not in bench.gates:
            raise SubmissionRefused(
                422, "callback-url", "give a status_callback_url: this runner has no NATS to report on"
            )
        return "nats"

    def _begin(self, attempt: Attempt, span: Span | None) -> None:
        older = [run for key, run in self._runs.items() if key.task_id == attempt.key.task_id]
        for run in older:
            if run.attempt.key.attempt < attempt.key.attempt:
                run.forget()  # a newer attempt was dispatched, so this one has ended
        run = self._runs[attempt.key] = AttemptRun(attempt, self._bench, older, span)
        if self._follower is not None:
            self._follower.follow(attempt.key)
        self._spawn(self._live(run))

    async def _live(self, run: AttemptRun) -> None:
        key = run.attempt.key
        try:
            await run.run()
        finally:
            del self._runs[key]
            self._left.set()
            self._reporter.wake(key.task_id)
            if self._follower is not None:
                await self._follower.unfollow(key)
        self._prune()

    def _prune(self) -> None:
        state = self._bench.state
        try:
            state.prune()
        except StateTrouble as trouble:  # the next end retries
            self._bench.storage.note(trouble)
        self._bench.retention.ended()

    async def _give_up(self, attempt: Attempt) -> None:
        be_about(*attempt.key)
        use_traceparent(attempt.traceparent)
        await nothing_left(self._bench.state.shims, attempt.key, self._bench.runner_id)
        if await self._was_canceled(attempt.key):
            log.warning("attempt canceled while the runner was away")
            report = self._unstarted(attempt, "canceled", "canceled; nothing of it is left")
        else:
            log.warning("attempt lost by a restart")
            message = "the runner was restarted; nothing of the attempt is left"
            report = self._unstarted(attempt, "failed", message, "runner-lost")
        await self._bench.storage.keep(lambda: self._bench.state.end(attempt, report.status, report))
        self._bench.outputs.over(attempt.key)
        self._reporter.wake(attempt.key.task_id)

    async def _was_canceled(self, key: Key) -> bool:
        """Whether the attempt was canceled while this runner was away, if the control plane can be asked."""
        if self._canceled is None:
            return False
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._canceled(key)
        except TimeoutError:
            return False

    def _unstarted(
        self, attempt: Attempt, status: Final, message: str, reason: FailedReason | None = None
    ) -> Report:
        return unstarted_report(
            status,
            attempt=attempt.key.attempt,
            runner_id=self._bench.runner_id,
            at=utcnow(),
            message=message,
            reason=reason,
        )

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _accepted(key: Key, submission: Submission, transport: Transport) -> Attempt:
    return Attempt(
        key,
        submission,
        transport,
        "accepted",
        None,
        settled=False,
        changed_at=0,
        traceparent=current_traceparent(),
    )
