"""The change feed, for pages that show lists: which tasks and workspaces have changed, never how.

One follower a process reads the log for all streams, while there are any, and keeps the last changes; so a
stream costs no read of its own unless it resumes further back. A change is announced only after the read
model and this process's fold of the locks show it: a list that is read after the announcement has it. A
reader that is too far behind is told to read everything again (`reset`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from typing import NamedTuple

import orjson

from api.dependencies import ApiParts
from api.queries.event_pages import lagging
from domain.errors import Busy, NotFound
from domain.identifiers import LOG_START, LogSeq, TaskId, WorkspaceId
from domain.lifecycle.asyncio_tasks import wait_at_most
from domain.log.position import Position
from domain.services.positions import check_position

PAUSE_SECONDS = 0.25
AWAY_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
MOST_BEHIND = 10_000
"""Events that are looked through for one message; a reader further behind is told to reset."""
MOST_NAMED = 1_000
"""Tasks and workspaces in one message; of more, it only says reset."""
KEPT = 64
PAGE = 500


class Change(NamedTuple):
    """What changed after sequence `after` up to `upto`; `tasks` by id: last event about it, and status now.

    `reset`: too much; nothing is named.
    """

    after: LogSeq
    upto: LogSeq
    tasks: dict[TaskId, tuple[LogSeq, str]]
    workspaces: set[WorkspaceId]
    reset: bool = False

    def message(self) -> bytes:
        """The change as a server-sent event."""
        data = {
            "tasks": [
                {"id": name, "seq": seq, "status": status} for name, (seq, status) in self.tasks.items()
            ],
            "workspaces": sorted(self.workspaces),
            "reset": self.reset,
        }
        return b"id: %d\ndata: %s\n\n" % (self.upto, orjson.dumps(data))


class ChangeFeed:
    """The changes of one process; `closing` ends all streams."""

    def __init__(
        self, parts: ApiParts, closing: asyncio.Event, heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._parts = parts
        self._closing = closing
        self._heartbeat_seconds = heartbeat_seconds
        self._readers = 0
        self._following: asyncio.Task[None] | None = None
        self._at = LOG_START
        self._kept: deque[Change] = deque(maxlen=KEPT)
        self._moved = asyncio.Event()

    async def first(self, after: Position | None) -> Change:
        """What a stream begins with: where it stands, and whether its position is of no use any more.

        Raises:
            Busy: the log or the read model's database is away.
        """
        here = await self._position()
        if after is None:
            return Change(here, here, {}, set())
        try:
            seq = await check_position(self._parts.log, after, self._parts.view)
        except NotFound:
            return Change(here, here, {}, set(), reset=True)
        return Change(seq, seq, {}, set())

    async def _position(self) -> LogSeq:
        """Up to where everything is shown: by the read model, and by this process's fold."""
        return min(await self._parts.read_model.position(), self._parts.view.seq)

    async def chunks(self, first: Change) -> AsyncGenerator[bytes]:
        """`first`, and then all changes after it, at most one message each PAUSE_SECONDS, until closing."""
        yield b"retry: 1000\n" + first.message()
        after = first.upto
        with self._reading() as following:
            while not self._closing.is_set() and not following.done():
                if await self._beyond(after):
                    change = await self._since(after)
                    if change is not None:
                        after = change.upto
                        yield change.message()
                    await wait_at_most(self._closing, PAUSE_SECONDS)
                elif not self._closing.is_set():
                    yield b": heartbeat\nid: %d\n\n" % after

    @contextlib.contextmanager
    def _reading(self) -> Iterator[asyncio.Task[None]]:
        """Follow the log while a stream reads."""
        self._readers += 1
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())
        try:
            yield self._following
        finally:
            self._readers -= 1

    async def _beyond(self, after: LogSeq) -> bool:
        """Wait until there is more than `after`; False where there is nothing to say for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._heartbeat_seconds):
                while self._at <= after and not self._closing.is_set():
                    await self._moved.wait()
        return self._at > after and not self._closing.is_set()

    async def _since(self, after: LogSeq) -> Change | None:
        """All changes after `after`; None while they cannot be read."""
        first = self._kept[0].after if self._kept else self._at
        if after >= first:
            return _merged([one for one in self._kept if one.upto > after])
        try:
            return await self._read(after, self._at)
        except Busy:
            await wait_at_most(self._closing, AWAY_SECONDS)
            return None

    async def _follow(self) -> None:
        """Keep the last changes while there are readers."""
        self._kept.clear()
        self._at = LOG_START
        try:
            while self._readers and not self._closing.is_set():
                try:
                    await self._look()
                    await wait_at_most(self._closing, PAUSE_SECONDS)
                except Busy:
                    await wait_at_most(self._closing, AWAY_SECONDS)
        finally:
            self._move()

    async def _look(self) -> None:
        if self._at == LOG_START:
            self._at = await self._position()
        elif await self._parts.view.caught_up(LogSeq(self._at + 1), AWAY_SECONDS):
            upto = await self._position()
            if upto > self._at:
                self._kept.append(await self._read(self._at, upto))
                self._at = upto
        self._move()

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _read(self, after: LogSeq, upto: LogSeq) -> Change:
        """The changes between two positions, from the log.

        Raises:
            Busy: the log or the read model does not answer, or a replica lags.
        """
        if upto - after > MOST_BEHIND:
            return Change(after, upto, {}, set(), reset=True)
        seqs, workspaces, at = dict[TaskId, LogSeq](), set[WorkspaceId](), after
        while at < upto:
            page = await self._parts.log.page(at, min(PAGE, upto - at))
            if not page:
                raise lagging()
            for event in page:
                if event.task_id is not None:
                    seqs[event.task_id] = event.seq
                if event.kind != "task":
                    workspaces.add(event.subject_id)
            at = page[-1].seq
            await asyncio.sleep(0)
        states = await self._parts.read_model.states(list(seqs))
        workspaces |= {state.workspace for state in states.values() if state.workspace is not None}
        tasks = {name: (seq, states[name].status) for name, seq in seqs.items() if name in states}
        return _bounded(Change(after, upto, tasks, workspaces))


def _merged(changes: list[Change]) -> Change:
    tasks, workspaces = dict[TaskId, tuple[LogSeq, str]](), set[WorkspaceId]()
    for change in changes:
        tasks.update(change.tasks)
        workspaces |= change.workspaces
    reset = any(change.reset for change in changes)
    return _bounded(Change(changes[0].after, changes[-1].upto, tasks, workspaces, reset))


def _bounded(change: Change) -> Change:
    if change.reset or len(change.tasks) + len(change.workspaces) > MOST_NAMED:
        return Change(change.after, change.upto, {}, set(), reset=True)
    return change
