"""Service `TaskReports`: records runners' reports on their attempts, and what jobs ask."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from domain.errors import Invalid
from domain.identifiers import TaskId
from domain.log.events import Transport
from domain.ports.lock_view import GrantView
from domain.ports.log import Clock, StoredTask, TaskStore
from domain.protocol import Ask, Report
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
        report = _of_attempt(report, proof.attempt if proof is not None else None)
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

    async def ask(self, task_id: TaskId, ask: Ask, attempt: int | None, actor: str) -> StoredTask:
        """Record a question; `attempt` is the one that its token proves. Raises as `Task.ask` does."""
        about = _of_attempt(ask, attempt)
        return await self._change(task_id, lambda task, at: task.ask(about, at=at, actor=actor))


async def record_said(
    reports: TaskReports, task_id: TaskId, said: Report | Ask, proof: Proof | None, transport: Transport
) -> StoredTask:
    """Record a report or a question of a runner; its actor is the runner that it names."""
    actor = f"runner:{said.runner_id}" if said.runner_id else "runner"
    if isinstance(said, Ask):
        return await reports.ask(task_id, said, proof.attempt if proof is not None else None, actor)
    return await reports.report(task_id, said, proof, transport, actor)


Said = TypeVar("Said", Report, Ask)


def _of_attempt(said: Said, proved: int | None) -> Said:
    """What was said about the attempt that its token proves."""
    if proved is None or said.attempt == proved:
        return said
    if said.attempt is not None:
        raise Invalid("wrong-token", "the token belongs to another attempt than the report names")
    return said.model_copy(update={"attempt": proved})
