"""Task store: tasks by replay of their events, cached, changed by appends.

The rules are the same on every log; what differs is how a task's events are read, which `TaskEvents` says.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from adapters.event_store.codec import Message
from adapters.event_store.task_cache import TaskCache
from adapters.event_store.task_codec import pending_message, replay
from domain.log.record import Recorded
from domain.ports.log import Appender, StoredTask


class TaskEvents(Protocol):
    """Reads the events of one task, up to the last one that the log had when it was asked."""

    async def all(self, task_id: str) -> list[Recorded]:
        """From its first on; [] if there is no such task."""
        ...

    async def count(self, task_id: str) -> int:
        """How many there are. Versions are contiguous, so this says whether a task is as it was."""
        ...


class LogTaskStore:
    """Port `TaskStore`. Safe with any number of other writers."""

    def __init__(
        self, events: TaskEvents, appender: Appender[Message], new_id: Callable[[], str], cache: TaskCache
    ) -> None:
        self._events = events
        self._appender = appender
        self._new_id = new_id
        self._cache = cache

    def exclusive(self, task_id: str) -> AbstractAsyncContextManager[None]:
        """See the port."""
        return self._cache.exclusive(task_id)

    async def load(self, task_id: str) -> StoredTask | None:
        """See the port."""
        cached = self._cache.get(task_id)
        if cached is not None:
            return cached
        events = await self._events.all(task_id)
        if not events:
            return None
        stored = replay(events)
        self._cache.put(stored)
        return stored

    async def load_at(self, task_id: str, seq: int) -> StoredTask | None:
        """See the port. Reads all events of the task, however many came after `seq`."""
        events = [event for event in await self._events.all(task_id) if event.seq <= seq]
        return replay(events) if events else None

    async def is_current(self, stored: StoredTask) -> bool:
        """See the port."""
        stored.fresh = await self._events.count(stored.task.id) == stored.task.version
        if not stored.fresh:
            self._cache.forget(stored.task.id)
        return stored.fresh

    async def append(self, stored: StoredTask) -> StoredTask:
        """See the port."""
        message = pending_message(stored, self._new_id())
        try:
            seq = await self._appender.append(message)
        except BaseException:  # also where it was canceled: the event may stand in the log by now
            self._cache.forget(stored.task.id)
            raise
        stored.task.pending_events.clear()
        appended = StoredTask(stored.task, seq, message.chain, fresh=True, recorded=True)
        self._cache.put(appended)
        return appended
