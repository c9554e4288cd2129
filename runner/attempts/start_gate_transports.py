"""The start gates over HTTP and NATS: report `running` through the outbox, wait for its confirmation."""

from __future__ import annotations

from domain.identifiers import RunnerId
from domain.protocol import Report
from runner.control.follower import Follower
from runner.control.start_gate import Permission, Standing, judge_answer
from runner.outbox.reporter import Reporter
from runner.store.disk_guard import Storage
from runner.store.state import Attempt, RunnerState


class HttpStartGate:
    """Confirmed by the 200 to this report, with a TaskRead that shows `running` by this runner."""

    def __init__(self, state: RunnerState, storage: Storage, reporter: Reporter, runner_id: RunnerId) -> None:
        self._state = state
        self._storage = storage
        self._reporter = reporter
        self._runner_id = runner_id

    async def permission(self, attempt: Attempt) -> Permission:
        report = running_report(attempt, self._runner_id)
        row_id = await self._storage.keep(lambda: self._state.advance(attempt, "starting", report))
        assert row_id is not None
        self._reporter.wake(attempt.key.task_id)
        answer = await self._reporter.answer_to(row_id)
        return judge_answer(answer, attempt.key, self._runner_id)


class NatsStartGate:
    """Confirmed by the event itself, read from the log. A cancel or an end forbids the start."""

    def __init__(
        self,
        state: RunnerState,
        storage: Storage,
        reporter: Reporter,
        runner_id: RunnerId,
        follower: Follower,
    ) -> None:
        self._state = state
        self._storage = storage
        self._reporter = reporter
        self._runner_id = runner_id
        self._follower = follower

    async def permission(self, attempt: Attempt) -> Permission:
        report = running_report(attempt, self._runner_id)
        await self._storage.keep(lambda: self._state.advance(attempt, "starting", report))
        self._reporter.wake(attempt.key.task_id)
        return Permission(Standing.RUNNING, sequence=await self._follower.seen_running(attempt.key))


def running_report(attempt: Attempt, runner_id: RunnerId) -> Report:
    """The report `running`, sent before the process exists: no pid yet; the log's time is its start."""
    return Report(status="running", attempt=attempt.key.attempt, runner_id=runner_id)
