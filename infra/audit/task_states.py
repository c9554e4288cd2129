"""State of every task during a verification, in bounded memory.

Open tasks stay in memory. So do a few thousand ended ones, because their lock is released a moment later. The
others move to a temporary SQLite file: a few dozen bytes for a task that has succeeded, which is final, and
the whole state for one that may be dispatched again.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from adapters.read_model.writing.rows import Row
from domain.evidence.task_trace import TaskTrace
from domain.identifiers import TaskId
from domain.task.transitions import Status

KEPT = 6_000
SPILLED_AT_ONCE = 3_000


@dataclass(slots=True)
class AuditedState:
    """One task at a position: its chain's end, its trace, and its rows in the read model.

    `last_seq` is that of the last event or lock event about it. `row` is empty if rows are not compared.
    """

    version: int
    chain: str
    last_seq: int
    trace: TaskTrace
    row: Row = field(default_factory=dict)
    grants: dict[int, Row] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether the task has ended and holds no lock."""
        return self.trace.ended and not any(
            grant.get("granted_seq") and not grant.get("released_seq") for grant in self.grants.values()
        )


class TaskStates:
    """Task states by id. `digest` converts a state's rows to bytes that can be compared."""

    def __init__(self, digest: Callable[[AuditedState], bytes]) -> None:
        self._digest = digest
        self._known: dict[str, AuditedState] = {}
        self._ended: dict[str, None] = {}
        self._directory = tempfile.TemporaryDirectory(prefix="towpath-verify-")
        self._file = sqlite3.connect(f"{self._directory.name}/tasks.db", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("PRAGMA cache_size = -8192")
        self._file.execute(
            "CREATE TABLE tasks (id TEXT PRIMARY KEY, last_seq INTEGER, digest BLOB, state BLOB)"
            " WITHOUT ROWID"
        )
        self._highest = ""

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()
        self._directory.cleanup()

    def get(self, task_id: TaskId) -> AuditedState | None:
        """The task's state; None if it was not added. One that succeeded may have lost all but its status."""
        state = self._known.get(task_id)
        if state is not None or task_id > self._highest:
            return state
        found = self._file.execute("SELECT last_seq, state FROM tasks WHERE id = ?", (task_id,)).fetchone()
        if found is None:
            return None
        if found[1] is None:
            return AuditedState(0, "", found[0], TaskTrace(Status.SUCCEEDED))
        self._file.execute("DELETE FROM tasks WHERE id = ?", (task_id,))
        state = self._known[task_id] = _restored(found[1])
        self._ended[task_id] = None
        return state

    def add(self, task_id: TaskId, state: AuditedState) -> None:
        """Add a new task."""
        self._known[task_id] = state

    def ended(self, task_id: TaskId) -> None:
        """Record that the task's attempt has ended: it may leave memory."""
        self._ended[task_id] = None
        if len(self._ended) > KEPT:
            self._spill()

    def reopened(self, task_id: TaskId) -> None:
        """Record that the task has a new attempt."""
        self._ended.pop(task_id, None)

    def _spill(self) -> None:
        rows = []
        for task_id in list(self._ended)[:SPILLED_AT_ONCE]:
            del self._ended[task_id]
            state = self._known[task_id]
            if not state.settled:
                self._ended[task_id] = None
                continue
            del self._known[task_id]
            final = state.trace.status is Status.SUCCEEDED
            rows.append((task_id, state.last_seq, self._digest(state), None if final else _kept(state)))
            self._highest = max(self._highest, task_id)
        self._file.execute("BEGIN")
        self._file.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?)", rows)
        self._file.execute("COMMIT")

    # ------------------------------------------------------------------ at the end

    def count(self) -> int:
        """The number of tasks."""
        spilled: int = self._file.execute("SELECT count(*) FROM tasks").fetchone()[0]
        return spilled + len(self._known)

    def rows(self, task_id: TaskId) -> tuple[int, bytes] | None:
        """Sequence and digest of a task's rows."""
        state = self._known.get(task_id)
        if state is not None:
            return state.last_seq, self._digest(state)
        found: tuple[int, bytes] | None = self._file.execute(
            "SELECT last_seq, digest FROM tasks WHERE id = ?", (task_id,)
        ).fetchone()
        return found

    def sequences(self) -> Iterator[tuple[str, int]]:
        """Every task with its last sequence."""
        yield from ((task_id, state.last_seq) for task_id, state in self._known.items())
        yield from self._file.execute("SELECT id, last_seq FROM tasks")


def digest_of(values: Any) -> bytes:
    """16 bytes that differ if the data differs."""
    return blake2b(orjson.dumps(values), digest_size=16).digest()


def _kept(state: AuditedState) -> bytes:
    return orjson.dumps(
        [
            state.version,
            state.chain,
            state.last_seq,
            astuple(state.trace),
            state.row,
            list(state.grants.items()),
        ]
    )


def _restored(kept: bytes) -> AuditedState:
    version, chain, last_seq, trace, row, grants = orjson.loads(kept)
    status, *rest = trace
    return AuditedState(
        version,
        chain,
        last_seq,
        TaskTrace(Status(status), *rest),
        row,
        dict(grants),
    )
