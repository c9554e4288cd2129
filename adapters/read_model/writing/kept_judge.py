"""Judges void events for the read model, and stores its state with the rows.

Its state (valid registrations, open claims) is in two tables, written in the transaction of their batch. A
process that starts, or that another one has overtaken, loads it at the position of the rows. Otherwise it
stays in memory, and only changed rows are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from typing import Any

from adapters.read_model.tables import judged_claims, judged_registrations
from domain.identifiers import LogSeq, WorkspaceId
from domain.locks.claims import Key
from domain.locks.judging import Judge, Void
from domain.log.payloads import LockPayload
from domain.log.record import Recorded
from domain.workspaces.registry import Registration

LOAD_REGISTRATIONS = (
    f"SELECT {', '.join(one.name for one in fields(Registration))} FROM {judged_registrations.name}"
)
LOAD_CLAIMS = f"SELECT workspace, task_id, attempt, granted FROM {judged_claims.name}"
Rows = Iterable[Sequence[Any]]


def loaded(registrations: Rows, claims: Rows) -> Judge:
    """The judge from the rows of LOAD_REGISTRATIONS and LOAD_CLAIMS."""
    return Judge.resumed(
        (Registration(*row) for row in registrations),
        ((workspace, (task_id, attempt), bool(granted)) for workspace, task_id, attempt, granted in claims),
    )


class KeptJudge:
    """Keeps the judge between batches: a batch takes it, and puts it back after its commit."""

    def __init__(self) -> None:
        self._kept: tuple[Judge, int, str | None] | None = None

    def take(self, seq: LogSeq, event_id: str | None, events: Sequence[Recorded]) -> Judge | None:
        """The judge at `seq`, the position of event `event_id`; None if it must be loaded.

        If another process has applied events in between, the judge folds them from `events`.
        """
        # put back after the commit only: after a failure the next batch loads it
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        judge, at, last_id = kept
        for event in events:
            if at < event.seq <= seq:
                if event.seq != at + 1:
                    return None
                judge.fold(event)
                at, last_id = event.seq, event.id
        return judge if (at, last_id) == (seq, event_id) else None

    def put(self, judge: Judge, seq: LogSeq, event_id: str | None) -> None:
        """Keep the judge of the committed position `seq`."""
        self._kept = (judge, seq, event_id)


class Judged:
    """Folds a batch into `judge` and tracks which of its rows have changed."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._workspaces: dict[WorkspaceId, None] = {}
        self._claims: dict[Key, tuple[WorkspaceId, bool] | None] = {}

    def fold(self, event: Recorded) -> Void | None:
        """Apply the next event of the log; return why it is void, or None if it is valid."""
        if event.kind == "workspace":
            self._workspaces[event.subject_id] = None
        elif (key := _key(event)) is not None and key not in self._claims:
            self._claims[key] = self.judge.claim(key)
        return self.judge.fold(event)

    def registrations(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """The rows to insert, and the ids of rows to delete first."""
        found = map(self.judge.registrations.get, self._workspaces)
        return [astuple(one) for one in found if one is not None], [(name,) for name in self._workspaces]

    def claims(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """The rows to insert, and the keys of rows to delete first."""
        changed = [(key, before, self.judge.claim(key)) for key, before in self._claims.items()]
        written = [(*key, *now) for key, before, now in changed if now is not None and now != before]
        gone = [key for key, before, now in changed if before is not None and now != before]
        return written, gone

    def changes(self) -> Iterator[tuple[Any, tuple[str, ...], list[Any], list[Any]]]:
        """For each table: its key columns, the keys to delete, and then the rows to insert."""
        written, gone = self.registrations()
        yield judged_registrations, ("id",), gone, written
        written, gone = self.claims()
        yield judged_claims, ("task_id", "attempt"), gone, written


def _key(event: Recorded) -> Key | None:
    """The attempt of a task's event or a lock fact."""
    if event.kind == "lock":
        fact: LockPayload = event.data
        return fact["task_id"], fact["attempt"]
    return (event.subject_id, event.attempt) if event.attempt is not None else None
