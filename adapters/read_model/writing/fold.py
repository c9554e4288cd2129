"""Folds a batch of events into rows in memory, before any SQL is sent.

A replay must keep up with the log, so a task costs one row per batch, regardless of its number of events. For
tasks from earlier batches only changed columns are kept, and only the columns NEEDED are read. Sequences and
each task's versions must be contiguous: a fold that skipped an event would stay wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from adapters.read_model.writing.claim_rows import ClaimRows
from adapters.read_model.writing.kept_judge import Judged
from adapters.read_model.writing.rows import LOCK_FACTS, TASK_FACTS, Row, created_row, leave_queue, storable
from domain.identifiers import LogSeq, TaskId
from domain.locks.judging import CHANGING, Judge
from domain.log.payloads import CreatedPayload, LockPayload
from domain.log.record import Recorded
from domain.ports.log import LogGap

NEEDED = ("attempt", "lock_state", "version", "status")
"""The columns that the fold reads of tasks created in earlier batches."""


class Batch:
    """Events and their result: `new` tasks (whole rows), changes of `known` ones, `labels`, `grants`.

    `needs` lists the tasks whose columns NEEDED must be passed to `fold`.
    """

    def __init__(self, position: LogSeq, events: Sequence[Recorded], judge: Judge | None = None) -> None:
        """`judge`: the state at `position`; by default that of an empty log."""
        self.judged = Judged(judge or Judge())
        self.position = position
        self.events = events
        self.new: dict[TaskId, Row] = {}
        self.known: dict[TaskId, Row] = {}
        self.labels: list[tuple[str, str, str, TaskId]] = []
        self._before: dict[TaskId, str] = {}
        self.grants = ClaimRows()
        self.needs = self._look_through()

    @classmethod
    def behind(cls, position: LogSeq, events: Sequence[Recorded], judge: Judge) -> Batch:
        """The batch of those `events` that come after `position`; `batch.position` is its last sequence.

        Raises:
            LogGap: they do not follow `position` without a hole.
        """
        if events[0].seq <= position:
            events = [event for event in events if event.seq > position]
        return cls(position, events, judge)

    def _look_through(self) -> list[TaskId]:
        new: set[TaskId] = set()
        needed: set[TaskId] = set()
        position: int = self.position
        for event in self.events:
            position += 1
            if event.seq != position:
                raise LogGap(
                    f"the read model stands at {position - 1} and was given event {event.seq}: read the log "
                    f"again from {position}, and verify it if that event is not there"
                )
            if event.kind == "task":
                (new if event.event == "created" else needed).add(event.subject_id)
            elif event.kind == "lock":
                fact: LockPayload = event.data
                needed.add(fact["task_id"])
        self.position = LogSeq(position)
        return list(needed - new)

    def fold(self, rows: Iterable[Sequence[Any]]) -> None:
        """Fold all events onto `rows`: (id, then NEEDED) of every needed task that has a row.

        Raises:
            LogGap: an event is not the next one of its task.
        """
        known = self.known
        for task_id, attempt, lock_state, version, status in rows:
            known[task_id] = {"attempt": attempt, "lock_state": lock_state, "version": version}
            self._before[task_id] = status
        new = self.new
        for event in self.events:
            kind = event.kind
            void = self.judged.fold(event) if event.event in CHANGING else None
            if kind == "task":
                task_id = event.subject_id
                row = new.get(task_id) or known.get(task_id)
                if event.version != (row["version"] + 1 if row else 1):
                    raise _version_gap(event, row)
                if row is None:
                    row = new[task_id] = self._created(event)
                else:
                    before = row["lock_state"]
                    TASK_FACTS[event.event](row, event)
                    if void is not None:
                        leave_queue(row)
                    if row["attempt"]:
                        self.grants.note_task(event, row["attempt"], before, row["lock_state"])
                row["seq"] = event.seq
                row["version"] = event.version
            elif kind == "lock":
                self._lock(event)

    def status_changes(self) -> dict[str, int]:
        """By how much the number of tasks in each status changes."""
        changes: Counter[str] = Counter(row["status"] for row in self.new.values())
        for task_id, row in self.known.items():
            if (now := row.get("status")) is not None:
                changes[now] += 1
                changes[self._before[task_id]] -= 1
        return {status: change for status, change in changes.items() if change}

    def _created(self, event: Recorded) -> Row:
        row = created_row(event)
        data: CreatedPayload = event.data
        for key, value in data["labels"].items():
            self.labels.append((storable(key), storable(value), row["created_at"], event.subject_id))
        return row

    def _lock(self, event: Recorded) -> None:
        self.grants.note_lock(event)
        data: LockPayload = event.data
        row = self.new.get(data["task_id"]) or self.known.get(data["task_id"])
        if row is not None and row["attempt"] == data["attempt"]:
            LOCK_FACTS[event.event](row, event)


def _version_gap(event: Recorded, row: Row | None) -> LogGap:
    have = row["version"] if row else 0
    return LogGap(
        f"event {event.seq} is version {event.version} of task {event.subject_id}, but the read model has "
        f"version {have}: events are missing; verify the log and rebuild with `towpath replay --rebuild`"
    )
