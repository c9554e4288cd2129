"""Task store: tasks replayed from their events, cached, and changed by appends.

The rules are the same on every log; `TaskEvents` abstracts how a task's events are read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from adapters.event_store.codec import Message
from adapters.event_store.task_cache import TaskCache
from adapters.event_store.task_codec import pending_message, replay
from domain.identifiers import LogSeq, TaskId
from domain.log.record import Recorded
from domain.ports.log import Appender, StoredTask


class TaskEvents(Protocol):
    """Linearizable reads of the events of one task."""

    async def all(self, task_id: TaskId) -> list[Recorded]:
        """All events of a task in order; [] if it does not exist."""
        ...

    async def count(self, task_id: TaskId) -> int:
        """The number of a task's events, which equals its version, since versions are contiguous."""
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

    def exclusive(self, task_id: TaskId) -> AbstractAsyncContextManager[None]:
        """See the port."""
        return self._cache.exclusive(task_id)

    async def load(self, task_id: TaskId) -> StoredTask | None:
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

    async def load_at(self, task_id: TaskId, seq: LogSeq) -> StoredTask | None:
        """See the port. Reads all events of the task, also those after `seq`."""
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
        except BaseException:  # after a cancellation, too: the event may be stored
            self._cache.forget(stored.task.id)
            raise
        # the aggregate has applied them already when it decided
        stored.task.pending_events.clear()
        appended = StoredTask(stored.task, seq, message.chain, fresh=True, recorded=True)
        self._cache.put(appended)
        return appended
