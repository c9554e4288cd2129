"""A work queue in memory that keeps order within a key, for consumers that settle messages themselves.

A consumer hands messages out one after the other and waits until each is taken. Here a slow one holds up
its own key alone, and the consumer only while there is no room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class OrderedWork(Generic[Item]):
    """Does one piece at a time of each key, in the order of `add`, and pieces of different keys at once.

    `do` returns False where a piece has to come again: what waits behind it is then passed to `put_back`
    instead, so that it comes again behind it. Neither may raise. The caller of `add` keeps it bounded: it
    waits for `room`, which there is while less than `limit` pieces are unfinished.
    """

    def __init__(
        self,
        do: Callable[[Item], Awaitable[bool]],
        put_back: Callable[[Item], Awaitable[None]],
        limit: int,
    ) -> None:
        self._do = do
        self._put_back = put_back
        self._limit = limit
        self._waiting: dict[str, deque[Item]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False
        self.unfinished = 0
        """How many pieces are at work or wait."""

    def add(self, key: str, item: Item) -> bool:
        """Queue a piece behind those of its key; once closed: False, and it stays the caller's."""
        if self._closed:
            return False
        self.unfinished += 1
        if self.unfinished >= self._limit:
            self._room.clear()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(item)
            return True
        self._waiting[key] = deque([item])
        worker = asyncio.get_running_loop().create_task(self._work(key))
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)
        return True

    async def room(self) -> None:
        """Wait until more may be added; without end once `close` was called."""
        await self._room.wait()

    def close(self) -> list[Item]:
        """Begin nothing more. What has not begun is returned: it is the caller's again."""
        self._closed = True
        self._room.clear()
        left = [item for waiting in self._waiting.values() for item in waiting]
        for waiting in self._waiting.values():
            waiting.clear()
        self.unfinished -= len(left)
        return left

    async def ended(self, seconds: float) -> None:
        """Wait until what has begun has ended; cancel what has not after `seconds`."""
        if self._workers:
            await asyncio.wait(self._workers, timeout=seconds)
        for worker in self._workers:
            worker.cancel()
        if self._workers:
            await asyncio.wait(self._workers)

    async def _work(self, key: str) -> None:
        waiting, done = self._waiting[key], True
        try:
            while waiting:
                item = waiting.popleft()
                try:
                    if done:
                        done = await self._do(item)
                    else:
                        await self._put_back(item)
                finally:
                    self._finished(1)
        finally:
            del self._waiting[key]
            self._finished(len(waiting))

    def _finished(self, number: int) -> None:
        self.unfinished -= number
        if self.unfinished < self._limit and not self._closed:
            self._room.set()
