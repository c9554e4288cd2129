"""Service `TaskFindings`: records lost runners, failed submissions, expired questions and lock waits.

Each finding names an attempt that its process manager has seen in the log. It changes nothing if the attempt
is further on, has ended or was replaced.
"""

from __future__ import annotations

from datetime import datetime

from domain.identifiers import RunnerId, TaskId
from domain.log.events import SubmitFailedReason
from domain.ports.log import StoredTask
from domain.protocol import Report
from domain.services.task_changes import TaskChanges
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.transitions import Status


class TaskFindings(TaskChanges):
    """Records the findings of dispatch, watchdog and lock waits."""

    async def accepted(
        self, task_id: TaskId, attempt: int, runner_id: RunnerId | None, instance: str | None = None
    ) -> StoredTask:
        """Record `queued` for a push runner's 202, unless the attempt is further on or was replaced."""
        report = Report(status="queued", attempt=attempt, runner_id=runner_id, instance=instance)
        actor = f"runner:{runner_id}" if runner_id else "runner"

        def decide(task: Task, at: datetime) -> None:
            if task.is_open(attempt, Status.DISPATCHED):
                task.report(report, grant=GrantKnowledge.HELD, transport="http", at=at, actor=actor)

        return await self._change(task_id, decide, begun=attempt)

    async def submit_failed(
        self, task_id: TaskId, attempt: int, reason: SubmitFailedReason, message: str | None, actor: str
    ) -> StoredTask:
        """Record that this attempt reached no runner, unless it is further on, ended or replaced."""
        return await self._change(
            task_id,
            lambda task, at: task.submit_failed(attempt, reason, message, at=at, actor=actor),
            begun=attempt,
        )

    async def lock_wait_over(self, task_id: TaskId, attempt: int, message: str, actor: str) -> StoredTask:
        """Record that this attempt has waited too long for its lock, unless it is further on."""
        return await self._change(
            task_id,
            lambda task, at: task.lock_wait_over(attempt, message, at=at, actor=actor),
            begun=attempt,
        )

    async def question_expired(self, task_id: TaskId, attempt: int, actor: str) -> StoredTask:
        """Answer the open question with its default, unless it was answered or its attempt has ended."""
        return await self._change(
            task_id, lambda task, at: task.question_expired(attempt, at=at, actor=actor), begun=attempt
        )

    async def runner_lost(self, task_id: TaskId, attempt: int, message: str, actor: str) -> StoredTask:
        """Record that this attempt's runner is lost, unless the attempt has ended or was replaced."""
        return await self._change(
            task_id,
            lambda task, at: task.runner_lost(attempt, message, at=at, actor=actor),
            begun=attempt,
        )
