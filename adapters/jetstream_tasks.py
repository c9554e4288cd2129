"""Tasks in the log on JetStream: loaded in two bounded reads, from a bounded cache in none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from adapters.codec import Message, filter_of
from adapters.jetstream_api import JetStreamApi, LogUnreachable
from adapters.task_cache import TaskCache
from adapters.task_codec import pending_message, replay
from domain.log import Recorded
from domain.ports import Appender, Stored

READ_TRIES = 4
LAG_SECONDS = 0.01


class JetStreamTaskStore:
    """Port `TaskStore` on stream TOWPATH. Safe with any number of other writers."""

    def __init__(
        self, api: JetStreamApi, appender: Appender[Message], new_id: Callable[[], str], cache: TaskCache
    ) -> None:
        self._api = api
        self._appender = appender
        self._new_id = new_id
        self._cache = cache

    def exclusive(self, task_id: str) -> AbstractAsyncContextManager[None]:
        """See the port."""
        return self._cache.exclusive(task_id)

    async def load(self, task_id: str) -> Stored | None:
        """See the port. The leader's last event says how many there are; then exactly those are read."""
        cached = self._cache.get(task_id)
        if cached is not None:
            return cached
        subject = filter_of("task", task_id)
        last = await self._api.last(subject)
        if last is None:
            if await self._api.count(subject) == 0:
                return None
            raise LogUnreachable("the log's replicas do not agree yet whether this task exists")
        event = last.decoded()
        stored = replay([*(await self._before(subject, event)), event])
        self._cache.put(stored)
        return stored

    async def load_at(self, task_id: str, seq: int) -> Stored | None:
        """See the port. Reads all events of the task, however many came after `seq`."""
        subject = filter_of("task", task_id)
        last = await self._api.last(subject)
        if last is None:
            return None
        event = last.decoded()
        events = [one for one in [*(await self._before(subject, event)), event] if one.seq <= seq]
        return replay(events) if events else None

    async def _before(self, subject: str, last: Recorded) -> list[Recorded]:
        """All events before `last`: at once from any replica, one by one from the leader where those lag."""
        wanted = last.version - 1
        for number in range(READ_TRIES):
            raw = await self._api.batch(subject, 1, wanted)
            if len(raw) == wanted:
                return [message.decoded() for message in raw]
            await asyncio.sleep(LAG_SECONDS * 2**number)
        found: list[Recorded] = []
        while len(found) < wanted:
            message = await self._api.next(subject, found[-1].seq + 1 if found else 1)
            if message is None:
                raise LogUnreachable(f"only {len(found)} of {last.version} events of a task could be read")
            found.append(message.decoded())
        return found

    async def is_current(self, stored: Stored) -> bool:
        """See the port."""
        # versions are contiguous, so their number says it all
        stored.fresh = await self._api.count(filter_of("task", stored.task.id)) == stored.task.version
        if not stored.fresh:
            self._cache.forget(stored.task.id)
        return stored.fresh

    async def append(self, stored: Stored) -> Stored:
        """See the port."""
        message = pending_message(stored, self._new_id())
        try:
            seq = await self._appender.append(message)
        except BaseException:  # also where it was canceled: the event may stand in the log by now
            self._cache.forget(stored.task.id)
            raise
        stored.task.pending_events.clear()
        appended = Stored(stored.task, seq, message.chain, fresh=True, recorded=True)
        self._cache.put(appended)
        return appended
