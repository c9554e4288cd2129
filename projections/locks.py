"""The lock projection: folds the log and appends the grants, refusals and releases that are due.

Delivery: it reads the log from its own snapshot and acknowledges nothing. A crash costs a longer fold after
the start. Lock facts are decided on the fold and appended with compare-and-set, so any number of projectors,
however far behind, append each fact once. After a conflict a projector folds on and decides again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from domain.context.log_context import about
from domain.context.trace import under_traceparent
from domain.errors import Busy, LogFull
from domain.identifiers import LOG_START, WorkspaceId
from domain.locks.claims import LockFact
from domain.locks.table import LockTable
from domain.log.record import Recorded
from domain.ports.log import AppendConflict, Clock, LockLog, LogReader, Snapshots
from projections.folding.cooperative_fold import in_parts, restored
from projections.folding.snapshots import keep, patiently, take_up

ACTOR = "lock-projection"
SNAPSHOT = "locks"
SNAPSHOT_EVERY = 5000
RETRY_SECONDS = 0.2

log = structlog.get_logger(__name__)


class LockProjection:
    """One projector; `run` it until it is canceled, then `save`."""

    def __init__(
        self,
        reader: LogReader,
        lock_log: LockLog,
        snapshots: Snapshots,
        clock: Clock,
        *,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self._reader = reader
        self._snapshot_every = snapshot_every
        self._lock_log = lock_log
        self._snapshots = snapshots
        self._clock = clock
        self._saved = LOG_START
        self._event_id = ""
        self._working: set[WorkspaceId] = set()
        self.table = LockTable()

    async def run(self) -> None:
        """Fold and decide until canceled.

        Raises:
            ExceptionGroup: with LogGap if the log is not contiguous; a fold with a hole decides nothing.
        """
        await self.restore()
        start = await patiently(self._reader.last_seq)
        behind = self.table.seq < start
        async with asyncio.TaskGroup() as workers:
            if not behind:
                self._decide(self.table.pending(), workers)
            async for batch in self._reader.follow(self.table.seq):
                changed: Iterable[WorkspaceId] = await self._fold_all(batch)
                if behind:
                    # what is due behind the log's end may have been appended long ago
                    if self.table.seq < start:
                        continue
                    behind, changed = False, self.table.pending()
                self._decide(changed, workers)
                if self.table.seq - self._saved >= self._snapshot_every:
                    await self.save()

    async def restore(self) -> None:
        """Load the last snapshot, if there is one of this log."""
        saved = await take_up(self._snapshots, self._reader, SNAPSHOT)
        if saved is not None:
            self._event_id, state = saved
            self.table = await asyncio.to_thread(restored, state)
            self._saved = self.table.seq

    async def save(self) -> None:
        """Save a snapshot, so that the next start folds only later events."""
        seq = self.table.seq
        if seq > self._saved:
            await keep(self._snapshots, SNAPSHOT, seq, self._event_id, self.table.snapshot())
            self._saved = seq

    async def _fold_all(self, batch: Sequence[Recorded]) -> dict[WorkspaceId, None]:
        changed: dict[WorkspaceId, None] = {}
        async for part in in_parts(batch):
            changed |= self.fold(part)
        return changed

    def fold(self, batch: Iterable[Recorded]) -> dict[WorkspaceId, None]:
        """Fold a batch; return the workspaces in which a lock fact may be due, in order."""
        changed: dict[WorkspaceId, None] = {}
        event: Recorded | None = None
        for event in batch:
            workspace = self.table.fold(event)
            if workspace is not None:
                changed[workspace] = None
        if event is not None:
            self._event_id = event.id
        return changed

    def _decide(self, workspaces: Iterable[WorkspaceId], workers: asyncio.TaskGroup) -> None:
        for workspace in workspaces:
            # its worker decides again after each append, with all that is folded by then
            if workspace in self._working:
                continue
            fact = self.table.decide(workspace)
            if fact is not None:
                self._working.add(workspace)
                workers.create_task(self._work(workspace, fact))

    async def _work(self, workspace: WorkspaceId, due: LockFact) -> None:
        """Append the due facts of one workspace, one after the other, until none is due."""
        fact: LockFact | None = due
        try:
            while fact is not None:
                try:
                    appended = await self._lock_log.append_lock(fact, at=self._clock(), actor=ACTOR)
                except AppendConflict:
                    # another projector was first, and its fact is not folded yet: folding it decides anew
                    if self.table.last_seq(workspace) == fact.expected_seq:
                        return
                except (Busy, LogFull) as error:
                    _say_not_appended(fact, error)
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self.table.fold_own(appended)
                fact = self.table.decide(workspace)
        finally:
            self._working.discard(workspace)


def _say_not_appended(fact: LockFact, error: Exception) -> None:
    task_id, attempt = getattr(fact.data, "task_id", None), getattr(fact.data, "attempt", None)
    with under_traceparent(fact.traceparent), about(task_id, attempt, fact.expected_seq or None):
        log.warning(
            "lock fact not appended, will retry",
            workspace=fact.workspace,
            fact=fact.event,
            error=str(error),
        )
