"""Activity, for the overview: a few running tasks, and waiting ones with the task each is behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from api.dependencies import ApiParts
from api.queries.figures.attention import waited
from domain.identifiers import RunnerId, TaskId, WorkspaceId
from domain.locks.claims import Waiter
from domain.task.view import TaskRead

MOST_CONTENDED = MOST_RUNNING = 5
MOST_PATHS = MOST_BEHIND = 3


class NamedTask(BaseModel):
    """A task; its title is null where the read model does not have it yet."""

    task_id: TaskId
    title: str | None


class RunningRead(NamedTask):
    """A task that runs, since `since`; `holds`: whether its attempt holds the lock of `paths`."""

    since: datetime | None
    runner_id: RunnerId | None
    workspace: WorkspaceId | None
    holds: bool
    paths: list[str] = Field(description=f"the first {MOST_PATHS}; [] means the whole workspace")
    more_paths: int


class Contended(NamedTask):
    """A workspace where claims wait; the task has waited longest, for `paths`, behind `in_the_way` claims."""

    workspace: WorkspaceId
    held: int
    waiting: int
    longest_wait_seconds: float
    paths: list[str] = Field(description=f"the first {MOST_PATHS}; [] means the whole workspace")
    more_paths: int
    behind: list[NamedTask] = Field(description=f"the first {MOST_BEHIND} tasks that it waits for")
    in_the_way: int


def most_contended(parts: ApiParts, waits: Sequence[Waiter]) -> list[Waiter]:
    """The first waiters of those workspaces where most claims wait; `waits` has the longest first."""
    return sorted(waits, key=lambda one: -parts.view.open_size(one.claim.workspace).waiting)[:MOST_CONTENDED]


def tasks_of(waiter: Waiter) -> list[TaskId]:
    """The tasks that `contended` names."""
    return [waiter.claim.task_id, *waiter.blocked_by[:MOST_BEHIND]]


def contended(parts: ApiParts, waiter: Waiter, titles: Mapping[TaskId, str], now: datetime) -> Contended:
    """A workspace by its first waiter."""
    claim, size = waiter.claim, parts.view.open_size(waiter.claim.workspace)
    first, *others = [NamedTask(task_id=one, title=titles.get(one)) for one in tasks_of(waiter)]
    return Contended(
        **first.model_dump(),
        workspace=claim.workspace,
        held=size.held,
        waiting=size.waiting,
        longest_wait_seconds=waited(waiter, now).total_seconds(),
        paths=list(claim.paths[:MOST_PATHS]),
        more_paths=max(len(claim.paths) - MOST_PATHS, 0),
        behind=others,
        in_the_way=waiter.in_the_way,
    )


def running(task: TaskRead) -> RunningRead:
    """A task that runs."""
    return RunningRead(
        task_id=task.id,
        title=task.title,
        since=task.started_at,
        runner_id=task.runner_id,
        workspace=task.workspace,
        holds=task.lock.state == "held",
        paths=task.lock_paths[:MOST_PATHS],
        more_paths=max(len(task.lock_paths) - MOST_PATHS, 0),
    )
