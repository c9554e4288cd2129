"""The one code path that changes tasks: load, decide, append, and decide again after a conflict.

A decision that records nothing (stale, refused) is answered only after the leader has confirmed the task that
it was made on, since no compare-and-set detects that the task was out of date. Every change names its
attempt, so that an input meant for one attempt never affects a newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from domain.context.log_context import be_about, be_about_task
from domain.errors import Busy, NotFound, Refused, refused
from domain.identifiers import TaskId
from domain.ports.log import AppendConflict, Clock, StoredTask, TaskStore
from domain.task.aggregate import Task

MAX_TRIES = 8
Decide = Callable[[Task, datetime], None]
"""Lets the task decide, at the given time; raises Refused, or leaves at most one event pending."""


class TaskChanges:
    """Reads and changes tasks; the services for commands, reports and findings extend it."""

    def __init__(self, tasks: TaskStore, clock: Clock) -> None:
        self._tasks = tasks
        self._clock = clock

    async def read(self, task_id: TaskId, *, attempt: int = 0, version: int = 0) -> StoredTask:
        """The task, by a linearizable read.

        `attempt` and `version`: the latest that the caller has seen in the log. Raises Busy if the leader
        returns an older task: a newly elected one may not have applied its whole log yet.
        """
        async with self._tasks.exclusive(task_id):
            for _ in range(MAX_TRIES):
                stored = await self._load(task_id)
                if stored.fresh or await self._tasks.is_current(stored):
                    if stored.task.attempt < attempt or stored.task.version < version:
                        raise _behind()
                    return stored
        raise too_busy()

    async def known(self, task_id: TaskId) -> Task:
        """The task as this process knows it, perhaps out of date: for what no later event changes.

        It is shared: read it before the next `await`. Raises NotFound.
        """
        async with self._tasks.exclusive(task_id):
            return (await self._load(task_id)).task

    async def _change(
        self, task_id: TaskId, decide: Decide, about: int | None = None, begun: int = 0
    ) -> StoredTask:
        """Apply `decide` to the task and append its event, with optimistic concurrency.

        `about`: the attempt that the caller has decided for; refused (`stale-attempt`) if another is current.
        `begun`: an attempt that the caller has seen in the log. A task without it is out of date, and
        `decide` would find nothing to do; raises Busy if the leader returns such a task.
        """
        be_about_task(task_id)
        async with self._tasks.exclusive(task_id):
            for _ in range(MAX_TRIES):
                stored = await self._load(task_id)
                if stored.task.attempt < begun:
                    if await self._tasks.is_current(stored):
                        raise _behind()
                    continue
                try:
                    if about is not None and stored.task.attempt != about:
                        raise refused("stale-attempt", attempt=stored.task.attempt)
                    decide(stored.task, self._clock())
                except (Refused, NotFound):
                    if stored.fresh or await self._tasks.is_current(stored):
                        raise
                    continue
                if stored.task.pending_events:
                    try:
                        return await self._append(stored)
                    except AppendConflict:
                        continue
                if stored.fresh or await self._tasks.is_current(stored):
                    return stored
        raise too_busy()

    async def _append(self, stored: StoredTask) -> StoredTask:
        appended = await self._tasks.append(stored)
        be_about(appended.task.id, appended.task.attempt, appended.seq)
        return appended

    async def _load(self, task_id: TaskId) -> StoredTask:
        stored = await self._tasks.load(task_id)
        if stored is None:
            raise NotFound("no-such-task", f"there is no task {task_id}; list them with GET /tasks")
        return stored


def too_busy() -> Busy:
    """The error after MAX_TRIES conflicts."""
    return Busy("busy", "the task kept changing under this request; send it again")


def _behind() -> Busy:
    return Busy("log-behind", "the log's leader has not applied all of the log yet; try again in a moment")
