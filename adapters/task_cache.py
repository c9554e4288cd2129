"""What every task store shares: a bounded cache of tasks as they stand in the log, one lock per task in use.

Commands change the task they loaded before the log has taken the event, and an append can fail or be
canceled. So nobody gets the cached object itself: it is copied in and out, which costs a microsecond, as
all that a task holds is immutable. Work on one task is serialised, to save conflicts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.ports.log import Stored
from domain.task import Task


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class TaskCache:
    """The `size` most recently used tasks."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._stored: OrderedDict[str, Stored] = OrderedDict()
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def exclusive(self, task_id: str) -> AsyncIterator[None]:
        """One user of a task at a time within this process."""
        turn = self._turns.setdefault(task_id, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[task_id]

    def get(self, task_id: str) -> Stored | None:
        """A copy of the cached task, if there is one; it is not fresh."""
        stored = self._stored.get(task_id)
        if stored is None:
            return None
        self._stored.move_to_end(task_id)
        return Stored(_copy(stored.task), stored.seq, stored.chain, fresh=False)

    def put(self, stored: Stored) -> None:
        """Keep a copy of a task that stands in the log as it is here."""
        if self._size <= 0:
            return
        task_id = stored.task.id
        self._stored[task_id] = Stored(_copy(stored.task), stored.seq, stored.chain, fresh=False)
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
