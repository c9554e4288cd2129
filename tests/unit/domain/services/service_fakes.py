"""What the task services need from outside, in memory: with a cache that goes stale, and rivals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from domain.errors import Busy
from domain.locks.workspace_locks import OpenSize
from domain.ports.log import AppendConflict, StoredTask
from domain.protocol import Report
from domain.runners.attempt_token import Proof
from domain.services.task_commands import TaskCommands
from domain.services.task_findings import TaskFindings
from domain.services.task_reports import TaskReports
from domain.task.aggregate import Task
from domain.task.events import TaskEvent
from domain.task.spec import TaskSpec
from domain.workspaces.registry import Registration
from tests.unit.domain.samples import AT, REGISTRATION, TASK_ID, dispatch, replay, submit_failed

Step = Callable[[], None]
SPEC = TaskSpec(command=["make"], workspace="acme-api", execution_mode="shared-workspace")


class MemoryTaskStore:
    """Tasks as lists of events. `rivals` act just before the next appends, as another process would."""

    def __init__(self) -> None:
        self.events: dict[str, list[TaskEvent]] = {}
        self.cache: dict[str, StoredTask] = {}
        self.rivals: list[Step] = []
        self.appends = 0
        self.confirmed = 0
        self.unreachable = False

    # ------------------------------------------------------------------ the port

    @asynccontextmanager
    async def exclusive(self, task_id: str) -> AsyncIterator[None]:
        try:
            yield
        finally:
            stored = self.cache.get(task_id)
            if stored is not None and stored.task.pending_events:
                del self.cache[task_id]

    async def load(self, task_id: str) -> StoredTask | None:
        cached = self.cache.get(task_id)
        if cached is not None:
            cached.fresh = cached.recorded = False
            return cached
        if task_id not in self.events:
            return None
        stored = self.cache[task_id] = StoredTask(
            self.task(task_id), len(self.events[task_id]), "chain", fresh=True
        )
        return stored

    async def is_current(self, stored: StoredTask) -> bool:
        self.confirmed += 1
        stored.fresh = len(self.events[stored.task.id]) == stored.seq
        if not stored.fresh:
            self.cache.pop(stored.task.id, None)
        return stored.fresh

    async def append(self, stored: StoredTask) -> StoredTask:
        if self.rivals:
            self.rivals.pop(0)()
        if self.unreachable:
            raise Busy("busy", "the log does not answer")
        self.appends += 1
        task_id = stored.task.id
        if len(self.events.get(task_id, [])) != stored.seq:
            self.cache.pop(task_id, None)
            raise AppendConflict
        new = stored.task.collect_events()
        assert len(new) == 1
        self.events.setdefault(task_id, []).extend(new)
        appended = StoredTask(stored.task, stored.seq + 1, "chain", fresh=True, recorded=True)
        self.cache[task_id] = appended
        return appended

    # ------------------------------------------------------------------ the log behind it

    def task(self, task_id: str) -> Task:
        """The task as the log has it."""
        return replay(self.events[task_id])

    def names(self, task_id: str) -> list[str]:
        """Its events."""
        return [event.NAME for event in self.events[task_id]]

    def elsewhere(self, task_id: str, change: Callable[[Task], None]) -> None:
        """Another process changes the task; this one's cache does not notice."""
        task = self.task(task_id)
        change(task)
        self.events[task_id].extend(task.collect_events())

    def rival(self, task_id: str, change: Callable[[Task], None]) -> None:
        """Before the next append, another process changes the task."""
        self.rivals.append(lambda: self.elsewhere(task_id, change))


class View:
    """The lock view. `while_waiting` acts while a grant or a registration is waited for."""

    def __init__(self) -> None:
        self.tokens: dict[tuple[str, int], int] = {}
        self.registered: Registration | None = REGISTRATION
        self.open = OpenSize()
        self.seq = 0
        self.asked: list[tuple[str, int]] = []
        self.while_waiting: Callable[[], Awaitable[Any]] | None = None

    async def granted(self, task_id: str, attempt: int, workspace: str) -> bool:
        self.asked.append((task_id, attempt))
        await self._wait()
        return (task_id, attempt) in self.tokens

    async def holding(self, task_id: str, attempt: int, workspace: str) -> int | None:
        return self.tokens.get((task_id, attempt))

    async def registration(self, workspace: str) -> Registration | None:
        await self._wait()
        return self.registered

    async def _wait(self) -> None:
        if self.while_waiting is not None:
            act, self.while_waiting = self.while_waiting, None
            await act()

    def seen_registration(self, workspace: str) -> Registration | None:
        return self.registered

    def open_size(self, workspace: str) -> OpenSize:
        return self.open


class Sealing:
    """Never seals the same value twice the same way."""

    def __init__(self) -> None:
        self._count = 0

    def encrypt(self, task_id: str, env: dict[str, str]) -> dict[str, str]:
        self._count += 1
        return {name: f"{self._count}:{value}" for name, value in env.items()}

    def decrypt(self, task_id: str, env: dict[str, str]) -> dict[str, str]:
        return {name: value.partition(":")[2] for name, value in env.items()}


def clock() -> datetime:
    return AT


class Harness:
    """The services with one task, and what stands behind it."""

    def __init__(self) -> None:
        self.store, self.view = MemoryTaskStore(), View()
        self.commands = TaskCommands(self.store, clock, self.view, Sealing())
        self.reports = TaskReports(self.store, clock, self.view)
        self.findings = TaskFindings(self.store, clock)

    @property
    def task(self) -> Task:
        return self.store.task(TASK_ID)

    @property
    def names(self) -> list[str]:
        return self.store.names(TASK_ID)

    async def said(self, status: str, proof: Proof | None = None, **fields: Any) -> StoredTask:
        given = Report(status=status, **{"attempt": 1, "runner_id": "r1", **fields})
        return await self.reports.report(TASK_ID, given, proof, "http", "runner:r1")

    def elsewhere(self, change: Any) -> None:
        self.store.elsewhere(TASK_ID, change)

    def rival(self, change: Any) -> None:
        self.store.rival(TASK_ID, change)


def end_and_dispatch(task: Task) -> None:
    """The current attempt ends and the next one begins."""
    submit_failed(task)
    dispatch(task)
