"""Process manager `dispatch`: submits granted attempts to runners and records refusals.

Delivery: each event is handled at least once, by any of the dispatchers, and acknowledged when its
consequences are recorded in the log. A crash in between causes a redelivery. Dispatch first reads the attempt
from the leader, and submits it only if it is still `dispatched` and its grant is valid. A second submission
is harmless, since the start gate keeps a runner from starting before its `running` is recorded. The attempt's
timer is armed before the submission.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.errors import Busy
from domain.identifiers import FencingToken, TaskId
from domain.locks.judging import changed
from domain.log.filter import EventFilter
from domain.log.payloads import AskedPayload, DispatchedPayload, LockPayload, RefusedPayload
from domain.log.record import Recorded
from domain.ports.dispatch import EnvCipher, EnvUnreadable, RunnerClient, SubmitRejected, SubmitUnreachable
from domain.ports.lock_view import GrantView
from domain.ports.queues import EventQueue, Timers
from domain.protocol import Submission, SubmittedWorkspace
from domain.runners.attempt_token import AttemptTokens, JobTokens
from domain.runners.runner_key import takes_itself
from domain.services.task_findings import TaskFindings
from domain.task.aggregate import Task
from domain.task.transitions import Status
from projections import lock_waits, question_expiry
from projections.attempt_timer import Note, attempt_timer

ACTOR = "dispatch"
ACTED_ON = (
    EventFilter("lock", event="granted"),
    EventFilter("lock", event="refused"),
    EventFilter("task", event="dispatched"),
    EventFilter("task", event="cancel-requested"),
    EventFilter("task", event="lock-release-requested"),
    EventFilter("task", event="asked"),
    EventFilter("task", event="submit-failed"),
    EventFilter("task", event="canceled"),
)
"""The events that dispatch reacts to."""


@dataclass(frozen=True, slots=True)
class DispatchConfig:
    """URLs without a trailing slash; `api_url`: where jobs reach the API; both times count from the grant.

    `submit_deadline`: when a runner must have accepted; `first_look`: when the watchdog first checks the
    accepting runner's heartbeat.
    """

    callback_base_url: str
    submit_deadline: timedelta
    first_look: timedelta
    api_url: str | None = None


class Dispatch:
    """One dispatcher; any number may run."""

    def __init__(
        self,
        tasks: TaskFindings,
        grants: GrantView,
        runners: RunnerClient,
        timers: Timers,
        cipher: EnvCipher,
        tokens: AttemptTokens,
        job_tokens: JobTokens,
        config: DispatchConfig,
    ) -> None:
        self._tasks = tasks
        self._grants = grants
        self._runners = runners
        self._timers = timers
        self._cipher = cipher
        self._tokens = tokens
        self._job_tokens = job_tokens
        self._config = config

    async def run(self, queue: EventQueue) -> None:
        """Act on events until canceled."""
        await queue.consume(self.handle)

    async def handle(self, event: Recorded) -> None:
        """React to one event; idempotent."""
        if event.kind == "lock":
            fact: LockPayload = event.data
            task_id, attempt = fact["task_id"], fact["attempt"]
            if event.event == "granted":
                # whether the grant is void is known only to a fold that has reached it
                await self._grants.caught_up(event.seq)
                await self._send(task_id, attempt, FencingToken(event.seq), event.at)
            elif event.event == "refused":
                await self._refused(task_id, attempt, event)
            return
        data: DispatchedPayload = event.data  # of other events, only `attempt` is read
        task_id, attempt = event.subject_id, data["attempt"]
        if event.event == "dispatched" and data["workspace"] is None:
            await self._send(task_id, attempt, FencingToken(0), event.at)
        elif event.event == "dispatched" and (wait := data.get("lock_wait_seconds")) is not None:
            await self._timers.arm(lock_waits.deadline(task_id, attempt), event.at + timedelta(seconds=wait))
        elif event.event == "asked":
            await self._asked(task_id, attempt, event.data)
        elif event.event == "cancel-requested":
            await self._cancel(task_id, attempt, event.version)
        elif event.event == "lock-release-requested":
            # a watchdog that keeps the lock for an operator waits for this release
            await self._timers.arm(attempt_timer(task_id, attempt), event.at)
        elif event.event in {"submit-failed", "canceled"}:
            await self._untaken(task_id, attempt, event.at)

    async def _asked(self, task_id: TaskId, attempt: int, asked: AskedPayload) -> None:
        expires_at = asked["expires_at"]
        if expires_at is not None and asked["default"] is not None:
            timer = question_expiry.deadline(task_id, attempt)
            await self._timers.arm(timer, datetime.fromisoformat(expires_at))

    async def _refused(self, task_id: TaskId, attempt: int, event: Recorded) -> None:
        workspace = event.subject_id
        data: RefusedPayload = event.data
        holders = ", ".join(holder["task_id"] for holder in data["holders"])
        words = f"workspace {workspace} is held by {holders}"
        if data["reason"] == "workspace-changed":
            words = f"{changed(workspace, data['root'], data['valid_root'])}; dispatch it again"
        await self._tasks.submit_failed(task_id, attempt, data["reason"], words, ACTOR)

    async def _cancel(self, task_id: TaskId, attempt: int, version: int) -> None:
        """Pass a cancel to the runner while the attempt is open; raises Busy, so that it is redelivered."""
        task = (await self._tasks.read(task_id, version=version)).task
        if not task.is_open(attempt, Status.QUEUED, Status.RUNNING):
            return
        try:
            await self._runners.cancel(task_id, attempt, task.spec.pool)
        except SubmitUnreachable as error:
            raise Busy("runner-away", f"its runner has not heard of the cancel yet: {error}") from error

    async def _untaken(self, task_id: TaskId, attempt: int | None, at: datetime) -> None:
        """Let the watchdog look after a `towpath lock` that may have been killed while it waited."""
        if attempt is not None and takes_itself((await self._tasks.read(task_id)).task.spec.pool):
            await self._timers.arm(attempt_timer(task_id, attempt), at)

    async def _send(self, task_id: TaskId, attempt: int, token: FencingToken, since: datetime) -> None:
        task = (await self._tasks.read(task_id, attempt=attempt)).task
        if task.is_open(attempt, Status.QUEUED, Status.RUNNING):
            await self._arm(task_id, attempt, since)  # a redelivery: the runner has it, and must be watched
        if not task.is_open(attempt, Status.DISPATCHED):
            return
        workspace = task.spec.workspace
        if workspace is not None and not await self._grants.granted(task_id, attempt, workspace):
            return  # a void grant must not start a process
        if takes_itself(task.spec.pool):
            await self._arm(task_id, attempt, since)  # its runner waits for the grant, not for a submission
            return
        try:
            submission = self._submission(task, token)
        except EnvUnreadable as error:
            await self._tasks.submit_failed(task_id, attempt, "rejected", str(error), ACTOR)
            return
        # before the submission: after a crash in between, the watchdog finds the attempt
        await self._arm(task_id, attempt, since)
        try:
            outcome = await self._runners.submit(submission, task.spec.pool)
        except SubmitRejected as error:
            await self._tasks.submit_failed(task_id, attempt, "rejected", str(error), ACTOR)
        except SubmitUnreachable as error:
            await self._tasks.submit_failed(task_id, attempt, "unreachable", str(error), ACTOR)
        else:
            if outcome.queued:
                await self._tasks.accepted(task_id, attempt, outcome.runner_id, outcome.instance)

    async def _arm(self, task_id: TaskId, attempt: int, since: datetime) -> None:
        submit_by = since + self._config.submit_deadline
        first = min(submit_by, since + self._config.first_look)
        await self._timers.arm(attempt_timer(task_id, attempt), first, Note(submit_by=submit_by).encoded())

    def _submission(self, task: Task, token: FencingToken) -> Submission:
        spec, dispatched = task.spec, task.dispatched
        assert dispatched is not None
        workspace = None
        if dispatched.workspace is not None and dispatched.root is not None:
            workspace = SubmittedWorkspace(
                id=dispatched.workspace,
                root=dispatched.root,
                lock_paths=dispatched.lock_paths,
                lock_mode=dispatched.lock_mode,
                lock_token=token,
            )
        return Submission(
            task_id=task.id,
            attempt=task.attempt,
            title=spec.title,
            command=spec.command,
            env=self._cipher.decrypt(task.id, encrypted)
            if (encrypted := {**spec.env, **spec.secrets})
            else {},
            secret_names=list(spec.secrets),
            timeout_seconds=spec.timeout_seconds,
            timeout_pauses=spec.timeout_pauses,
            execution_mode=spec.execution_mode,
            workspace=workspace,
            status_callback_url=f"{self._config.callback_base_url}/runner/tasks/{task.id}/status",
            status_callback_token=self._tokens.mint(task.id, task.attempt, token),
            api_url=self._config.api_url,
            job_token=self._job_tokens.mint(task.id, task.attempt),
        )
