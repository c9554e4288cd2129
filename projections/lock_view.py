"""Projection `lock view`: locks and registrations as this process has folded them; appends nothing.

An API process answers lock queries from it and waits in it for decisions. Delivery: it reads the log from its
own snapshot and acknowledges nothing; a crash costs a longer fold after the start. A linearizable answer
first waits until the view has caught up with the leader.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple

from domain.errors import Busy
from domain.identifiers import LOG_START, FencingToken, LogSeq, TaskId, WorkspaceId
from domain.locks.claims import Grant, Key, Waiter
from domain.locks.judging import Void
from domain.locks.statistics import LogFigures
from domain.locks.table import LockTable
from domain.locks.view import EntryPicture, LockEntry, entry_in_the_way, lock_entry
from domain.locks.workspace_locks import OpenSize
from domain.log.filter import EventFilter
from domain.log.payloads import HolderPayload, LockPayload, RefusedPayload
from domain.log.record import Recorded
from domain.ports.lock_view import LockDecision, OpenLocks
from domain.ports.log import LogReader, Snapshots
from domain.task.aggregate import Task
from domain.task.view import NO_LOCK, LockRead, held, waiting
from domain.workspaces.registry import Registration
from projections.folding.cooperative_fold import in_parts, restored
from projections.folding.snapshots import keep, take_up
from projections.folding.void_events import VoidEvents
from projections.folding.waiters import Waiters
from projections.time_travel import Ladder

SNAPSHOT = "view"
SNAPSHOT_EVERY = 20000
REMEMBERED = 4096
CATCH_UP_SECONDS = 2.0


class _Past(NamedTuple):
    """How a claim ended. Keeping the event with its headers would take ten times the memory."""

    event: str
    time: str
    token: FencingToken | None
    """The fencing token it held."""
    holders: Sequence[HolderPayload]
    """The claims that blocked it, if it was refused."""


class FoldedLockView:
    """Port `LockView`, kept up to date by `run`."""

    def __init__(self, reader: LogReader, snapshots: Snapshots, figures: LogFigures | None = None) -> None:
        self.figures = figures or LogFigures()
        self._reader = reader
        self._snapshots = snapshots
        self._table = LockTable()
        self._void_events = VoidEvents()
        self._waiters = Waiters()
        self._past: OrderedDict[Key, _Past] = OrderedDict()
        self._saved = LOG_START
        self._event_id = ""
        self._ladder = Ladder(snapshots)

    async def run(self) -> None:
        """Fold until canceled. LogGap if the log is not contiguous."""
        saved = await take_up(self._snapshots, self._reader, SNAPSHOT)
        if saved is not None:
            self._event_id, state = saved
            self._table = await asyncio.to_thread(restored, state["locks"])
            self._void_events.start(self._table.seq)
            self._saved = self._table.seq
            self._waiters.moved(self._saved)
        self._ladder.start(self._table.seq)
        async for batch in self._reader.follow(self._table.seq):
            async for part in in_parts(batch):
                self.fold(part)
            await self._ladder.climb(self._table, self._event_id)
            if self._table.seq - self._saved >= SNAPSHOT_EVERY:
                await self.save()

    async def save(self) -> None:
        """Save a snapshot, so that the next start folds only later events."""
        seq = self._table.seq
        if seq > self._saved:
            state = {"locks": self._table.snapshot()}
            await keep(self._snapshots, SNAPSHOT, seq, self._event_id, state)
            self._saved = seq

    def fold(self, batch: Iterable[Recorded]) -> None:
        """Fold a batch and wake the requests that wait for it."""
        event: Recorded | None = None
        note, table = self.figures.note, self._table
        for event in batch:
            note(event, table)
            if event.kind == "lock" and event.event != "granted":
                self._remember(event)
            table.fold(event)
            if table.judged is not None:
                self._void_events.note(event, table.judged)
            self._waiters.folded(event)
        if event is not None:
            self._event_id = event.id
        self._waiters.moved(self._table.seq)

    def _remember(self, event: Recorded) -> None:
        """Remember how a claim ended, and the token it held, for requests that come soon after."""
        fact: LockPayload = event.data
        key = (fact["task_id"], fact["attempt"])
        grant = self._table.grant(*key)
        token = grant.token if grant else None
        holders: Sequence[HolderPayload] = ()
        if event.event == "refused":
            refused: RefusedPayload = event.data
            holders = refused["holders"]
        self._past[key] = _Past(event.event, event.time, token, holders)
        if len(self._past) > REMEMBERED:
            self._past.popitem(last=False)

    def open_locks(self) -> OpenLocks:
        """See the port."""
        table = self._table
        return OpenLocks(*table.open_claims(), len(table.pending()))

    # ------------------------------------------------------------------ waiting

    @property
    def seq(self) -> LogSeq:
        """See the port."""
        return self._table.seq

    async def caught_up(self, seq: LogSeq, timeout: float = CATCH_UP_SECONDS) -> bool:
        """See the port."""
        return self._table.seq >= seq or await self._waiters.reached(seq, timeout)

    async def _know(self, wanted: EventFilter, there: Callable[[], bool]) -> None:
        """Return once this fold has the leader's last `wanted` event, or the whole log if `there` is False.

        Right after an election the deposed leader may still answer, with fewer events. A negative answer must
        not be based on that. Only the read of the log's end comes with a proof that its leader has a quorum.
        """
        known = await self.caught_up(await self._reader.last_seq_of(wanted))
        if known and not there():
            known = await self.caught_up(await self._reader.last_seq())
        if not known:
            raise _behind()

    async def at_end(self) -> None:
        """See the port."""
        if not await self.caught_up(await self._reader.last_seq()):
            raise _behind()

    async def decided(self, task_id: TaskId, attempt: int, timeout: float = CATCH_UP_SECONDS) -> LockDecision:
        """See the port."""
        key = (task_id, attempt)
        await self._waiters.until(key, lambda: self._decision(task_id, attempt) != "undecided", timeout)
        return self._decision(task_id, attempt)

    def _decision(self, task_id: TaskId, attempt: int) -> LockDecision:
        if self.void_dispatch(task_id, attempt) is not None:
            return "void"
        if self._table.valid_grant(task_id, attempt) is not None:
            return "granted"
        # decided and over before this request looked
        past = self._past.get((task_id, attempt))
        if past is not None:
            return "refused" if past.event == "refused" else "granted"
        if self._table.waits(task_id, attempt):
            return "waiting"
        return "undecided"

    async def released(self, task_id: TaskId, attempt: int, timeout: float = CATCH_UP_SECONDS) -> bool:
        """See the port."""
        key = (task_id, attempt)
        return await self._waiters.until(key, lambda: self._table.grant(task_id, attempt) is None, timeout)

    def listening(self, task_id: TaskId, attempt: int) -> AbstractContextManager[asyncio.Event]:
        """See the port."""
        return self._waiters.listening((task_id, attempt))

    # ------------------------------------------------------------------ asking

    async def granted(self, task_id: TaskId, attempt: int, workspace: WorkspaceId) -> bool:
        """See the port."""
        if not self._has_grant(task_id, attempt):
            await self._know_grant(task_id, attempt, workspace)
        return self._has_grant(task_id, attempt)

    async def holding(self, task_id: TaskId, attempt: int, workspace: WorkspaceId) -> FencingToken | None:
        """See the port."""
        await self._know_grant(task_id, attempt, workspace)
        grant = self._table.grant(task_id, attempt)
        return grant.token if grant is not None and grant.owed is None else None

    async def _know_grant(self, task_id: TaskId, attempt: int, workspace: WorkspaceId) -> None:
        await self._know(EventFilter("lock", workspace), lambda: self._has_grant(task_id, attempt))

    def _has_grant(self, task_id: TaskId, attempt: int) -> bool:
        return self._table.valid_grant(task_id, attempt) is not None

    async def registration(self, workspace: WorkspaceId) -> Registration | None:
        """See the port."""
        await self._know(
            EventFilter("workspace", workspace), lambda: self.seen_registration(workspace) is not None
        )
        return self.seen_registration(workspace)

    def seen_registration(self, workspace: WorkspaceId) -> Registration | None:
        """See the port."""
        return self._table.judge.registrations.get(workspace)

    def registrations(self) -> list[Registration]:
        """See the port."""
        return list(self._table.judge.registrations)

    def would_be_void(self, workspace: WorkspaceId, root: str | None) -> Void | None:
        """See the port."""
        return self._table.judge.would_be_void(workspace, root)

    def verdict(self, seq: LogSeq) -> Void | None:
        """See the port."""
        return self._void_events.at(seq)

    def void_registration(self, workspace: WorkspaceId) -> Void | None:
        """See the port."""
        return self._table.judge.void(workspace)

    def void_dispatch(self, task_id: TaskId, attempt: int) -> Void | None:
        """See the port."""
        return self._void_events.of_claim((task_id, attempt)) or self._table.void_dispatch(task_id, attempt)

    def lock_of(self, task: Task) -> LockRead:
        """See the port."""
        if not task.needs_lock or task.attempt == 0:
            return NO_LOCK
        grant = self._table.grant(task.id, task.attempt)
        if grant is not None:
            return held(grant)
        lock = self.waiting(task.id, task.attempt)
        if lock is not None:
            return lock
        past = self._past.get((task.id, task.attempt))
        if past is not None and past.event == "released":
            return LockRead(state="released", token=past.token, since=datetime.fromisoformat(past.time))
        return NO_LOCK

    def waiting(self, task_id: TaskId, attempt: int) -> LockRead | None:
        """See the port."""
        waiter = self._table.waiter(task_id, attempt)
        return waiting(waiter) if waiter is not None else None

    def refusal(self, task_id: TaskId, attempt: int) -> list[HolderPayload]:
        """See the port."""
        past = self._past.get((task_id, attempt))
        return list(past.holders) if past is not None else []

    def entries(self, workspace: WorkspaceId | None = None) -> list[LockEntry]:
        """See the port."""
        names = self._table.workspaces() if workspace is None else [workspace]
        return [lock_entry(self._table, name) for name in names]

    def picture(self, workspace: WorkspaceId) -> EntryPicture:
        """See the port."""
        return EntryPicture(self._table, workspace)

    def open_workspaces(self) -> list[WorkspaceId]:
        """See the port."""
        return list(self._table.workspaces())

    def open_size(self, workspace: WorkspaceId) -> OpenSize:
        """See the port."""
        return self._table.open_size(workspace)

    def holders(self, workspace: WorkspaceId) -> list[Grant]:
        """See the port."""
        return self._table.holders(workspace)

    def first_waiter(self, workspace: WorkspaceId) -> Waiter | None:
        """See the port."""
        return self._table.first_waiter(workspace)

    def in_the_way(self, workspace: WorkspaceId, task_id: TaskId, attempt: int) -> LockEntry:
        """See the port."""
        return entry_in_the_way(self._table, workspace, task_id, attempt)


def _behind() -> Busy:
    return Busy("view-behind", "this process is still reading the log; try again in a moment")
