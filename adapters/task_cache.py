"""What every task store shares: a bounded cache of loaded tasks and one lock per task in use.

A cached task is the very object that commands change, so work on one task is serialised within the
process, and whatever fails drops the task from the cache.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.ports import Stored


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
        """One user of a task at a time; what is in the cache afterwards has no pending events."""
        turn = self._turns.setdefault(task_id, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                try:
                    yield
                finally:
                    stored = self._stored.get(task_id)
                    if stored is not None and stored.task.pending_events:
                        self.forget(task_id)
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[task_id]

    def get(self, task_id: str) -> Stored | None:
        """The cached task, if there is one; it is not fresh."""
        stored = self._stored.get(task_id)
        if stored is not None:
            self._stored.move_to_end(task_id)
            stored.fresh = stored.recorded = False
        return stored

    def put(self, stored: Stored) -> None:
        """Keep a task that stands in the log as it is here."""
        if self._size <= 0:
            return
        self._stored[stored.task.id] = stored
        self._stored.move_to_end(stored.task.id)
        if len(self._stored) > self._size:
            self._stored.popitem(last=False)

    def forget(self, task_id: str) -> None:
        """Drop a task, for example because the log has moved on."""
        self._stored.pop(task_id, None)
