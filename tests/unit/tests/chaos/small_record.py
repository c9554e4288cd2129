"""What a chaos run in memory leaves behind: the log, the history, and at the end the state of each part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from uuid_utils.compat import uuid7

from adapters.event_store.codec import encode
from adapters.read_model.writing.claim_rows import ClaimRows
from adapters.read_model.writing.fold import Batch
from adapters.read_model.writing.kept_judge import Judged
from domain.locks.claims import FIRST_CHAIN, LockFact, Owed
from domain.locks.judging import Judge
from domain.locks.table import LockTable
from domain.log.events import RegisteredData
from domain.log.record import Recorded
from domain.task.aggregate import Task
from tests.chaos.history import Json
from tests.chaos.raw_log import Stored

RUNNERS = ("r1", "r2")
START = datetime(2026, 3, 1, tzinfo=UTC)


class EarlyTable(LockTable):
    """Frees a lock as soon as a cancel was asked for."""

    def fold(self, event: Recorded) -> str | None:
        workspace = super().fold(event)
        if event.event == "cancel-requested" and workspace is not None:
            grant = self._workspaces[workspace].holders.get((event.subject_id, event.attempt or 0))
            if grant is not None:
                self._workspaces[grant.claim.workspace].owe(
                    grant.claim.key, Owed("canceled", event.seq, event.actor)
                )
        return workspace


class SmallRecord:
    """`plant` is the bug that the run has."""

    def __init__(self, plant: str | None) -> None:
        self.history: list[Json] = []
        self.log: list[Stored] = []
        self._plant = plant
        self._events: list[Recorded] = []
        self._tasks: dict[str, Task] = {}
        self._chains: dict[str, str] = {}
        self._seqs: dict[str, int] = {}
        self._table = EarlyTable() if plant == "release-on-cancel-requested" else LockTable()
        self._granted: set[tuple[str, int]] = set()
        self._ops = 0
        self._clock = 1000.0
        for workspace in ("shop", "farm"):
            data = RegisteredData(root=f"/w/{workspace}", on_runner_lost="fail", by="ann")
            self._append("workspace", workspace, "registered", data, "ann", 1)

    def _settle(self) -> None:
        for name in ("sqlite", "postgres"):
            events = self._events
            if self._plant == "skipping-fold" and name == "postgres":
                events = [e for e in events if e.event != "cancel-requested"]
            batch = Batch.__new__(Batch)
            batch.new, batch.known, batch.labels, batch.grants = {}, {}, [], ClaimRows()
            batch.judged = Judged(Judge())
            batch.events = _renumbered(events)
            batch.fold([])
            seqs = {(e.subject_id, e.version): o.seq for e, o in zip(batch.events, events, strict=True)}
            for row in batch.new.values():
                real = {**row, "seq": seqs[row["id"], row["version"]]}
                self._line("row", model=name, row=real)
            self._line("model", model=name, position=len(self._events))
        for runner in RUNNERS:
            self._line("outbox", runner=runner, rows=0)
        self._line("locks", api="api1", holders=[list(key) for key in self._holders()], waiters=[])
        self._line("settled")
        self.history[-1]["wall"] = START.timestamp() + self.history[-1]["at"]

    def _holders(self) -> Iterator[tuple[str, int]]:
        for workspace in self._table.workspaces():
            for grant in self._table.holders(workspace):
                yield grant.claim.key

    def _grant(self, task: Task) -> Any:
        return self._table.grant(task.id, task.attempt)

    def _record(self, task_id: str, version: int | None = None) -> None:
        for event in self._tasks[task_id].collect_events():
            self._append(
                "task", task_id, event.NAME, event.data, event.actor, version or event.originator_version
            )
            self._seqs[task_id] = len(self._events)

    def _append_lock(self, fact: LockFact) -> None:
        self._append("lock", fact.workspace, fact.event, fact.data, "locks", fact.version)
        if fact.event == "granted":
            self._granted.add((fact.data.task_id, fact.data.attempt))

    def _append(self, kind: Any, entity: str, name: str, data: Any, actor: str, version: int) -> None:
        subject = f"{kind}.{entity}"
        message = encode(
            kind, entity, name, data, id=str(uuid7()), version=version, at=self._now(), actor=actor,
            expected_seq=0, previous_chain=self._chains.get(subject, FIRST_CHAIN),
        )  # fmt: skip
        self._chains[subject] = message.chain
        seq = len(self._events) + 1
        event = message.recorded(seq)
        self._events.append(event)
        self._table.fold(event)
        kept = {key: value for key, value in message.headers.items() if key.startswith("ce-")}
        self.log.append(Stored(seq, message.subject, kept, message.data.decode()))

    def _mark(self, mark: str, key: tuple[str, int]) -> None:
        grant = self._table.grant(*key)
        token = grant.token if grant else None
        self._line("mark", mark=mark, task=key[0], attempt=key[1], token=token, alive=self._tick(), pid=1)

    def _invoke(self, do: str, task_id: str, **fields: Any) -> int:
        self._ops += 1
        self._line("invoke", op=self._ops, do=do, task=task_id, who="c", **fields)
        return self._ops

    def _answer(self, op: int, task_id: str) -> None:
        task = self._tasks[task_id]
        said = {"seq": self._seqs[task_id], "version": task.version, "status": str(task.status)}
        self._line("ok", op=op, http=200, attempt=task.attempt, **said)

    def _line(self, line: str, **fields: Any) -> None:
        self.history.append({"line": line, "at": self._tick(), **fields})

    def _tick(self) -> float:
        self._clock += 0.001
        return self._clock

    def _now(self) -> datetime:
        return START + timedelta(seconds=self._tick())


def _renumbered(events: list[Recorded]) -> list[Recorded]:
    """`events` as if nothing were missing: what a fold that skips one does not notice."""
    versions: dict[str, int] = {}
    found = []
    for seq, event in enumerate(events, start=1):
        versions[event.subject_id] = versions.get(event.subject_id, 0) + 1
        found.append(replace(event, seq=event.seq, version=versions[event.subject_id]))
        assert seq <= event.seq
    return found
