"""Task cache of a process: bounded, with one lock per task in use.

A command changes its loaded task before the event is appended, and the append can fail or be canceled. The
cache therefore copies tasks in and out. A copy costs a microsecond, since all values in a task are immutable.
Work on one task is serialised, to avoid conflicts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager

from domain.identifiers import TaskId
from domain.ports.log import StoredTask
from domain.task.aggregate import Task


class _Turn:
    """One task's lock with a count of its users; it is in `turns` while it has any."""

    __slots__ = ("_lock", "_task_id", "_turns", "_users")

    def __init__(self, turns: dict[TaskId, _Turn], task_id: TaskId) -> None:
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
        self._stored: OrderedDict[TaskId, StoredTask] = OrderedDict()
        self._turns: dict[TaskId, _Turn] = {}

    def exclusive(self, task_id: TaskId) -> AbstractAsyncContextManager[None]:
        """A context that only one user of a task at a time may enter within this process."""
        return self._turns.get(task_id) or _Turn(self._turns, task_id)

    def get(self, task_id: TaskId) -> StoredTask | None:
        """A copy of the cached task, or None; it is not `fresh`."""
        stored = self._stored.get(task_id)
        if stored is None:
            return None
        self._stored.move_to_end(task_id)
        return StoredTask(_copy(stored.task), stored.seq, stored.chain, fresh=False)

    def put(self, stored: StoredTask) -> None:
        """Keep a copy of a task whose state equals the log's."""
        if self._size <= 0:
            return
        task_id = stored.task.id
        self._stored[task_id] = StoredTask(_copy(stored.task), stored.seq, stored.chain, fresh=False)
        self._stored.move_to_end(task_id)
        if len(self._stored) > self._size:
            self._stored.popitem(last=False)

    def forget(self, task_id: TaskId) -> None:
        """Drop a task, for example after a conflict."""
        self._stored.pop(task_id, None)


def _copy(task: Task) -> Task:
    """A separate task with the same state and no pending events."""
    copy = object.__new__(Task)
    copy.__dict__.update(task.__dict__)
    copy.__dict__["_pending_events"] = []
    return copy
