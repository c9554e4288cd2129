"""Service `TaskReports`: records runners' reports on their attempts."""

from __future__ import annotations

from datetime import datetime

from domain.errors import Invalid
from domain.identifiers import TaskId
from domain.log.events import Transport
from domain.ports.lock_view import GrantView
from domain.ports.log import Clock, StoredTask, TaskStore
from domain.protocol import Report
from domain.runners.attempt_token import Proof
from domain.services.task_changes import TaskChanges
from domain.task.aggregate import GrantKnowledge, Task


class TaskReports(TaskChanges):
    """Records reports; looks up `grants` if a report needs a grant that its attempt token does not prove."""

    def __init__(self, tasks: TaskStore, clock: Clock, grants: GrantView) -> None:
        super().__init__(tasks, clock)
        self._grants = grants

    async def report(
        self, task_id: TaskId, report: Report, proof: Proof | None, transport: Transport, actor: str
    ) -> StoredTask:
        """Record a report. `proof` comes from its attempt token, if it carries one.

        Raises:
            Refused: see `Task.report`; nothing is recorded.
            NotFound: the task does not exist.
        """
        if proof is not None:
            if report.attempt is None:
                report = report.model_copy(update={"attempt": proof.attempt})
            elif report.attempt != proof.attempt:
                raise Invalid("wrong-token", "the token belongs to another attempt than the report names")
        grant = GrantKnowledge.UNKNOWN if proof is None else GrantKnowledge.HELD
        undecided = 0

        def decide(task: Task, at: datetime) -> None:
            nonlocal undecided
            decided = task.report(report, grant=grant, transport=transport, at=at, actor=actor)
            undecided = 0 if decided else task.attempt

        stored = await self._change(task_id, decide)
        workspace = stored.task.spec.workspace
        if undecided and workspace is not None:
            grant = GrantKnowledge.of(await self._grants.granted(task_id, undecided, workspace))
            stored = await self._change(task_id, decide)
        return stored
