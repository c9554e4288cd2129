"""Task cache of a process: bounded, with one lock per task in use.

Commands change the task they loaded before the log has taken the event, and an append can fail or be
canceled. So no caller gets the cached object itself: it is copied in and out, which costs a microsecond, as
all that a task holds is immutable. Work on one task is serialised, to save conflicts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager

from domain.ports.log import StoredTask
from domain.task.aggregate import Task


class _Turn:
    """One task's lock, and how many hold it or wait for it; `turns` has it meanwhile."""

    __slots__ = ("_lock", "_task_id", "_turns", "_users")

    def __init__(self, turns: dict[str, _Turn], task_id: str) -> None:
        self._turns, self._task_id = turns, task_id
        self._lock = asyncio.Lock()
        self._users = 0

    async def __aenter__(self) -> None:
        self._users += 1
        self._turns[self._task_id] = self
        try:
            await self._lock.acquire()
        except BaseException:
            self._left()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._left()

    def _left(self) -> None:
        self._users -= 1
        if not self._users:
            del self._turns[self._task_id]


class TaskCache:
    """The `size` most recently used tasks."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._stored: OrderedDict[str, StoredTask] = OrderedDict()
        self._turns: dict[str, _Turn] = {}

    def exclusive(self, task_id: str) -> AbstractAsyncContextManager[None]:
        """One user of a task at a time within this process."""
        return self._turns.get(task_id) or _Turn(self._turns, task_id)

    def get(self, task_id: str) -> StoredTask | None:
        """A copy of the cached task, if there is one; it is not fresh."""
        stored = self._stored.get(task_id)
        if stored is None:
            return None
        self._stored.move_to_end(task_id)
        return StoredTask(_copy(stored.task), stored.seq, stored.chain, fresh=False)

    def put(self, stored: StoredTask) -> None:
        """Keep a copy of a task that stands in the log as it is here."""
        if self._size <= 0:
            return
        task_id = stored.task.id
        self._stored[task_id] = StoredTask(_copy(stored.task), stored.seq, stored.chain, fresh=False)
        self._stored.move_to_end(task_id)
        if len(self._stored) > self._size:
            self._stored.popitem(last=False)

    def forget(self, task_id: str) -> None:
        """Drop a task, for example because the log has moved on."""
        self._stored.pop(task_id, None)


def _copy(task: Task) -> Task:
    """A task of its own with the same state and nothing pending."""
    copy = object.__new__(Task)
    copy.__dict__.update(task.__dict__)
    copy.__dict__["_pending_events"] = []
    return copy
