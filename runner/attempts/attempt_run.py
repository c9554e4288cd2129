"""The life of one attempt on this host: wait for a slot, pass the start gate, run, report.

A cancel, an end recorded in the log, or the runner's own stop may end it at any point. So every wait before
the start also waits for these, and after the start the shim is told. The first request decides what is
reported; only `forget` overrides an earlier one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog

from domain.context.trace import current_traceparent, trace_id
from domain.context.tracer import Attributes, Span, Tracer, about_attempt, spanning
from domain.identifiers import RunnerId
from domain.lifecycle.asyncio_tasks import end_tasks
from domain.protocol import OUTPUT_TAIL_BYTES, FailedReason, Report
from runner.attempts.pausing_timeout import BACKSTOP_SECONDS, end_in_time
from runner.attempts.report_mapping import Final, final_report, unstarted_report
from runner.attempts.workspace import job_environment, within, working_directory
from runner.cleanup.removal import discard
from runner.cleanup.trash import Trash
from runner.clock import utcnow
from runner.config import RunnerConfig
from runner.control.lease import Lease
from runner.control.pauses import PauseReader
from runner.control.start_gate import Permission, Standing, StartGate
from runner.errors import StateTrouble, SubmissionRefused
from runner.output.ranges import OutputRanges
from runner.output.retention import Retention
from runner.process.job_process import Job, JobProcess
from runner.process.launcher.forking import Launcher
from runner.process.masking.secret_encodings import encodings
from runner.process.orphans import Adoption
from runner.store.disk_guard import Storage
from runner.store.state import Attempt, RunnerState, Transport

T = TypeVar("T")
AGAIN_SECONDS = 1.0
Wish = Literal["canceled", "stopped", "forgotten"]


@dataclass(frozen=True)
class AttemptContext:
    """Dependencies that all attempts of a runner share."""

    config: RunnerConfig
    runner_id: RunnerId
    state: RunnerState
    storage: Storage
    lease: Lease
    gates: Mapping[Transport, StartGate]
    slots: asyncio.Semaphore
    work: Path
    """Directory in which attempts without a workspace get one of their own."""
    trash: Trash
    """Where such a directory goes afterwards."""
    cgroups: Path | None
    """Parent of the jobs' cgroups, if permitted."""
    adoption: Adoption
    launcher: Launcher
    outputs: OutputRanges
    retention: Retention
    pauses: Callable[[Attempt], PauseReader]
    tracer: Tracer | None = None


class AttemptRun:
    """One held attempt. Call `run` once; it returns when the attempt has ended and its end is stored."""

    def __init__(
        self, attempt: Attempt, bench: AttemptContext, older: Sequence[AttemptRun], span: Span | None = None
    ) -> None:
        """`span` lasts as long as the attempt; `run` ends it."""
        self.attempt = attempt
        self._span = span
        self.finished = asyncio.Event()
        self._bench = bench
        self._older = older  # earlier attempts of the same task: their processes must end first
        self._wish: Wish | None = None
        self._wished = asyncio.Event()
        self._process: JobProcess | None = None
        self._log = structlog.get_logger(__name__).bind(task=attempt.key.task_id, attempt=attempt.key.attempt)
        if attempt.traceparent is not None:  # a request to end comes from outside this trace
            self._log = self._log.bind(trace=trace_id(attempt.traceparent))

    def cancel(self) -> None:
        self._end("canceled")

    def stop(self) -> None:
        """The runner itself is stopping."""
        self._end("stopped")

    def forget(self) -> None:
        """The log already has the attempt's end: kill, and report nothing."""
        self._end("forgotten")

    def renew(self, deadline: float) -> None:
        if self._process is not None:
            self._process.renew(deadline)

    async def run(self) -> Report | None:
        """Run the attempt; returns the terminal report as stored in the outbox, if any."""
        try:
            return await self._run()
        finally:
            self.finished.set()

    async def _run(self) -> Report | None:
        try:
            report = await self._live()
        except Exception as error:
            self._log.exception("attempt broke")
            report = self._final("failed", f"the runner failed: {type(error).__name__}", "error")
        finally:
            await self._close()
        if self._wish == "forgotten":
            report = None
        await self._write_down(report)
        self._tidy()
        outcome = report.status if report else "forgotten"
        self._log.info("attempt over", outcome=outcome)
        if self._span is not None:
            self._span.set({"towpath.outcome": outcome})
            self._span.end()
        return report

    async def _close(self) -> None:
        """Close the process, repeatedly if needed: it must be gone before its end is stored."""
        while self._process is not None:
            try:
                await self._process.close()
                break
            except Exception:
                self._log.exception("cannot make sure yet that nothing of it is left")
                await asyncio.sleep(AGAIN_SECONDS)

    def _tidy(self) -> None:
        """Remove the job's directory; a failure is logged and does not change the attempt's end."""
        self._bench.trash.put(self._own_directory)
        trouble = discard(self._bench.state.shims / f"{self.attempt.key.file_stem}.lock")
        if trouble is not None:
            self._log.warning("the shim's lock file is left", why=trouble)

    async def _write_down(self, report: Report | None) -> None:
        """Store the end, however full the disk is: until then the attempt is held and in heartbeats."""
        state, outcome = self._bench.state, report.status if report else "forgotten"
        try:
            await self._bench.storage.keep(lambda: state.end(self.attempt, outcome, report))
        except StateTrouble:
            self._log.error("end not kept: the control plane will call it runner-lost", outcome=outcome)
            state.let_go(self.attempt.key)
        self._bench.outputs.over(self.attempt.key)

    async def _live(self) -> Report | None:
        for older in self._older:
            await older.finished.wait()
        if await self._unless_wished(self._bench.slots.acquire()) is None:
            return self._unstarted()
        try:
            permission = None if self._wish else await self._unless_wished(self._permission())
            if permission is None or self._wish is not None:
                return self._unstarted()
            if permission.standing is Standing.RUNNING:
                self._log = self._log.bind(sequence=permission.sequence)
                return await self._work()
            return self._not_permitted(permission)
        finally:
            self._bench.slots.release()

    async def _permission(self) -> Permission:
        """The gate's answer, given while the lease was valid."""
        gate = self._bench.gates[self.attempt.transport]
        while True:
            await self._bench.lease.wait_valid()
            permission = await gate.permission(self.attempt)
            if permission.standing is not Standing.RUNNING or self._bench.lease.valid:
                return permission

    async def _work(self) -> Report | None:
        about = about_attempt(*self.attempt.key)
        with spanning(self._bench.tracer, "process", "internal", about) as span:
            report = await self._process_to_its_end()
            if span is not None:
                span.set(_outcome(report))
            return report

    async def _process_to_its_end(self) -> Report | None:
        try:
            job = self._job()
        except SubmissionRefused as error:
            return self._final("failed", error.message, "error")
        started_at = utcnow()
        try:
            process = await JobProcess.spawn(job, self._bench.adoption, self._bench.launcher)
        except OSError as error:
            return self._final("failed", f"no process can be started: {error.strerror}", "error")
        self._process = process
        if self._bench.lease.deadline is not None:
            process.renew(self._bench.lease.deadline)
        if self._wish is not None:  # it came while the shim was being started
            self._tell(process)
        timing: list[asyncio.Task[None]] = []
        if await process.started():
            timing = self._timing(process)
            self._log.info("job started")
            try:
                self._bench.state.advance(self.attempt, "running")
            except StateTrouble as trouble:  # only GET /tasks/{id} shows it
                self._bench.storage.note(trouble)
        try:
            ended = await process.ended()
        finally:
            await end_tasks(timing)
        files = self._bench.outputs.files
        return final_report(
            ended,
            attempt=self.attempt.key.attempt,
            runner_id=self._bench.runner_id,
            timeout=self.attempt.submission.timeout_seconds,
            started_at=started_at,
            tail=await asyncio.to_thread(files.tail, self.attempt.key),
            output_bytes=files.size(self.attempt.key) or 0,
            timeout_pauses=self.attempt.submission.timeout_pauses,
        )

    def _timing(self, process: JobProcess) -> list[asyncio.Task[None]]:
        """A timeout that pauses is this runner's task; every other one is the shim's."""
        submission = self.attempt.submission
        if not submission.timeout_pauses or submission.timeout_seconds is None:
            return []
        pauses, grace = self._bench.pauses(self.attempt), self._bench.config.kill_grace_seconds
        return [asyncio.create_task(end_in_time(process, submission.timeout_seconds, grace, pauses))]

    @property
    def _shim_timeout(self) -> float | None:
        submission = self.attempt.submission
        if submission.timeout_seconds is None or not submission.timeout_pauses:
            return submission.timeout_seconds
        return submission.timeout_seconds + BACKSTOP_SECONDS

    def _job(self) -> Job:
        bench, submission, stem = self._bench, self.attempt.submission, self.attempt.key.file_stem
        roots, own, user = bench.config.roots, self._own_directory, bench.config.user
        return Job(
            command=submission.command,
            cwd=working_directory(submission, roots, own, user),
            within=within(submission, own),
            user=user,
            own_signals=bench.config.own_signals,
            cgroup=str(bench.cgroups / stem) if bench.cgroups else None,
            env=job_environment(
                submission, bench.runner_id, current_traceparent(), user, bench.config.job_api_url
            ),
            output=bench.outputs.files.path(self.attempt.key),
            output_bytes=bench.config.output_bytes,
            tail_bytes=OUTPUT_TAIL_BYTES,
            secrets=tuple(self._secrets()),
            lock=bench.state.shims / f"{stem}.lock",
            timeout=self._shim_timeout,
            lease=bench.lease.deadline,
            grace=bench.config.kill_grace_seconds,
        )

    @property
    def _own_directory(self) -> Path:
        return self._bench.work / self.attempt.key.file_stem

    def _end(self, wish: Wish) -> None:
        if self._wish is not None and wish != "forgotten":
            return
        self._log.info("attempt is to end", why=wish)
        self._wish = wish
        self._wished.set()
        if self._process is not None:
            self._tell(self._process)

    def _tell(self, process: JobProcess) -> None:
        assert self._wish is not None
        process.stop(self._wish, 0 if self._wish == "forgotten" else self._bench.config.kill_grace_seconds)

    async def _unless_wished(self, wait: Coroutine[Any, Any, T]) -> T | None:
        """The result of `wait`, or None if a request to end came first."""
        waiting = asyncio.ensure_future(wait)
        wished = asyncio.ensure_future(self._wished.wait())
        try:
            await asyncio.wait({waiting, wished}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            return None
        finally:
            for task in (waiting, wished):
                task.cancel()
            await asyncio.gather(waiting, wished, return_exceptions=True)

    def _unstarted(self) -> Report | None:
        if self._wish == "canceled":
            return self._final("canceled", "canceled before it started")
        return self._final("failed", "its runner was stopped in order", "runner-lost")

    def _not_permitted(self, permission: Permission) -> Report | None:
        self._log.warning("not permitted to start", why=permission.message)
        if permission.standing is Standing.OVER:
            self._wish = "forgotten"
            return None
        if permission.standing is Standing.CANCEL:
            return self._final("canceled", permission.message)
        return self._final("failed", permission.message, "error")

    def _final(self, status: Final, message: str, reason: FailedReason | None = None) -> Report | None:
        return unstarted_report(
            status,
            attempt=self.attempt.key.attempt,
            runner_id=self._bench.runner_id,
            at=utcnow(),
            message=message,
            reason=reason,
        )

    def _secrets(self) -> list[str]:
        """Values to mask in the output. The runner's own messages hold no value, so they are not masked."""
        submission = self.attempt.submission
        encoded = encodings(submission.declared_secrets)
        return [*submission.secret_values, *encoded, *self._bench.config.secrets]


def _outcome(report: Report | None) -> Attributes:
    if report is None:
        return {"towpath.outcome": "forgotten"}
    said: dict[str, str | int] = {"towpath.outcome": report.status}
    return said if report.exit_code is None else {**said, "process.exit.code": report.exit_code}
