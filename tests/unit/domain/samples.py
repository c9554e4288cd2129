"""Samples the domain's tests are made of: tasks in every status, reports, and events as stored."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.log.events import CreatedData, EventData, Kind
from domain.log.record import Recorded
from domain.protocol import Ask, Report, rfc3339
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.events import TaskEvent
from domain.task.transitions import Status
from domain.workspaces.registry import Registration

TASK_ID = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
OTHER_ID = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c12"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(seconds=5)
REGISTRATION = Registration("acme-api", "/srv/acme", "fail", seq=3, version=1)


def created_data(**changes: Any) -> CreatedData:
    """What a task in workspace `acme-api` is made of; `workspace=None` makes one without a lock."""
    fields: dict[str, Any] = {
        "title": "build",
        "command": ["make", "build"],
        "workspace": "acme-api",
        "lock_paths": ["src"],
        "lock_mode": "exclusive",
        "on_conflict": "wait",
        "pool": "default",
        "env": {},
        "timeout_seconds": None,
        "labels": {},
        **changes,
    }
    mode = "no-workspace" if fields["workspace"] is None else "shared-workspace"
    return CreatedData(**{"execution_mode": mode, **fields})


def new_task(task_id: str = TASK_ID, **changes: Any) -> Task:
    """A task that was just created; its event is still pending."""
    return Task.create(task_id, created_data(**changes), at=AT, actor="ann")


def dispatch(task: Task) -> None:
    """Begin the next attempt."""
    registration = REGISTRATION if task.needs_lock else None
    task.dispatch(registration, at=AT, actor="ann")


def report(
    task: Task,
    status: str,
    *,
    grant: GrantKnowledge = GrantKnowledge.HELD,
    at: datetime = LATER,
    **fields: Any,
) -> bool:
    """Let a runner report on the task's current attempt, unless `attempt` names another."""
    fields = {"attempt": task.attempt or None, "runner_id": "r1", **fields}
    said = Report(status=status, **fields)
    return task.report(said, grant=grant, transport="http", at=at, actor="runner:r1")


def ask(task: Task, question_id: str = "q1", *, at: datetime = LATER, **fields: Any) -> None:
    """Let the job of the current attempt ask."""
    asked = {"text": "Deploy?", "choices": ["yes", "no"], "attempt": task.attempt or None, **fields}
    task.ask(Ask(question_id=question_id, **asked), at=at, actor="job")


def answer(task: Task, question_id: str = "q1", choice: str | None = "yes", text: str | None = None) -> None:
    """Let a person answer."""
    task.answer(question_id, choice, text, at=LATER, actor="ann")


def cancel(task: Task) -> None:
    """The operator's request."""
    task.cancel(reason="not needed", at=LATER, actor="ann")


def submit_failed(task: Task, attempt: int | None = None) -> None:
    """The control plane's finding that the attempt reached no runner."""
    task.submit_failed(
        task.attempt if attempt is None else attempt, "deadline", "nobody took it", at=LATER, actor="dispatch"
    )


def task_in(status: Status, **changes: Any) -> Task:
    """A task whose first attempt (none for `created`) is in `status`; nothing is pending."""
    task = new_task(**changes)
    if status is not Status.CREATED:
        dispatch(task)
    if status in (Status.QUEUED, Status.RUNNING):
        report(task, "queued")
    if status is Status.RUNNING:
        report(task, "running")
    if status is Status.SUBMIT_FAILED:
        submit_failed(task)
    if status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELED):
        report(task, status.value)
    task.collect_events()
    assert task.status is status
    return task


def pending(task: Task) -> list[str]:
    """The names of the pending events."""
    return [event.NAME for event in task.pending_events]


def replay(events: list[TaskEvent]) -> Task:
    """The task that these events make."""
    task: Task | None = None
    for event in events:
        task = event.mutate(task)
    assert task is not None
    return task


def after(task: Task, change: Any) -> tuple[Task, list[str]]:
    """A copy of `task` on which `change` was tried, and the events that it triggered."""
    copy = deepcopy(task)
    change(copy)
    return copy, pending(copy)


class Journal:
    """A log in memory: numbers what it is given, as the stream would."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self._versions: dict[tuple[str, str], int] = {}

    @property
    def seq(self) -> int:
        """The last sequence."""
        return len(self.events)

    def last(self, kind: Kind, subject_id: str) -> Recorded | None:
        """The last event of one task or of one workspace's lock facts."""
        same = (e for e in reversed(self.events) if (e.kind, e.subject_id) == (kind, subject_id))
        return next(same, None)

    def append(
        self, kind: Kind, subject_id: str, event: str, data: EventData | dict[str, Any], actor: str = "ann"
    ) -> Recorded:
        """Store one event behind all others."""
        stored = data.model_dump(mode="json") if isinstance(data, EventData) else data
        version = self._versions[kind, subject_id] = self._versions.get((kind, subject_id), 0) + 1
        seq = self.seq + 1
        recorded = Recorded(
            seq=seq,
            kind=kind,
            subject_id=subject_id,
            event=event,
            id=f"event-{seq}",
            version=version,
            attempt=stored.get("attempt"),
            time=rfc3339(AT + timedelta(seconds=seq)),
            actor=actor,
            chain=f"chain-{seq}",
            data=stored,
        )
        self.events.append(recorded)
        return recorded

    def append_pending(self, task: Task) -> list[Recorded]:
        """Store what is pending on a task."""
        return [
            self.append("task", task.id, event.NAME, event.data, event.actor)
            for event in task.collect_events()
        ]
