"""What a runner must not forget: the attempts it holds and the reports nobody has answered yet.

One SQLite file, mode 0600, WAL with synchronous=FULL: a commit is on the disk. Calls are plain and
synchronous, since each takes about a millisecond and the order of commits is the order of calls. An
attempt and the report about its step are always written in one transaction. A job's environment
and callback token leave the file as soon as the attempt is over.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from domain.wire import Report, Submission
from runner.errors import ConfigError

Transport = Literal["http", "nats"]
Phase = Literal["accepted", "starting", "running", "ended"]

REMEMBERED = 10_000
HELD = 10_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL, attempt INTEGER NOT NULL,
    submission TEXT NOT NULL, transport TEXT NOT NULL,
    phase TEXT NOT NULL, outcome TEXT, settled INTEGER NOT NULL DEFAULT 0,
    changed_at REAL NOT NULL,
    UNIQUE (task_id, attempt)
);
CREATE INDEX IF NOT EXISTS unsettled ON attempts (number) WHERE settled = 0;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL, attempt INTEGER NOT NULL, transport TEXT NOT NULL,
    body TEXT NOT NULL, url TEXT, token TEXT
);
"""


class Key(NamedTuple):
    """What an attempt is known by."""

    task_id: str
    attempt: int

    @property
    def file_stem(self) -> str:
        return f"{self.task_id}.{self.attempt}"


@dataclass(frozen=True)
class Attempt:
    """One row: an attempt as the runner last wrote it. `settled`: the control plane knows how it ended."""

    key: Key
    submission: Submission
    transport: Transport
    phase: Phase
    outcome: str | None
    settled: bool
    changed_at: float


@dataclass(frozen=True)
class OutboxRow:
    """One unanswered report and where it goes."""

    id: int
    key: Key
    transport: Transport
    body: str
    url: str | None
    token: str | None

    @property
    def report(self) -> Report:
        return Report.model_validate_json(self.body)


class RunnerState:
    """The state directory of one runner process; a second one in the same directory is refused."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for path in (directory, self.outputs, self.shims, self.work):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._lock_directory()
        file = directory / "runner.sqlite3"
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._db = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)

    @property
    def outputs(self) -> Path:
        return self.directory / "outputs"

    @property
    def shims(self) -> Path:
        return self.directory / "shims"

    @property
    def work(self) -> Path:
        return self.directory / "work"

    def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    # -- who this runner is

    def runner_id(self, wanted: str | None) -> str:
        """`wanted`, else the id kept here, else a new one: without its memory a runner is another one."""
        runner_id = wanted or self._fact("runner_id") or f"runner-{secrets.token_hex(5)}"
        self._set_fact("runner_id", runner_id)
        return runner_id

    def next_counter(self) -> int:
        """A number above all before it, also across restarts and where the directory was emptied."""
        counter = max(int(self._fact("counter") or 0) + 1, time.time_ns() // 1_000_000)
        self._set_fact("counter", str(counter))
        return counter

    # -- attempts

    def accept(self, submission: Submission, transport: Transport, report: Report | None) -> bool:
        """Hold a new attempt; False, and nothing written, where it is known already."""
        key = Key(submission.task_id, submission.attempt)
        with self._transaction():
            done = self._db.execute(
                "INSERT OR IGNORE INTO attempts (task_id, attempt, submission, transport, phase, changed_at)"
                " VALUES (?, ?, ?, ?, 'accepted', ?)",
                (*key, submission.model_dump_json(), transport, time.time()),
            )
            if done.rowcount == 0:
                return False
            self._put(key, submission, transport, report)
        return True

    def advance(self, attempt: Attempt, phase: Phase, report: Report | None = None) -> int | None:
        """The attempt has got to `phase`; the id of the report about it, if there is one."""
        with self._transaction():
            self._db.execute(
                "UPDATE attempts SET phase = ?, changed_at = ? WHERE task_id = ? AND attempt = ?",
                (phase, time.time(), *attempt.key),
            )
            return self._put(attempt.key, attempt.submission, attempt.transport, report)

    def end(self, attempt: Attempt, outcome: str, report: Report | None) -> None:
        """The attempt is over; without a report it is settled at once. Its secrets leave this file."""
        bare = attempt.submission.model_copy(update={"env": {}, "status_callback_token": None})
        with self._transaction():
            self._db.execute(
                "UPDATE attempts SET phase = 'ended', outcome = ?, settled = ?, submission = ?,"
                " changed_at = ? WHERE task_id = ? AND attempt = ?",
                (outcome, report is None, bare.model_dump_json(), time.time(), *attempt.key),
            )
            self._put(attempt.key, attempt.submission, attempt.transport, report)
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # old pages in the WAL still show the secrets

    def settle(self, key: Key) -> None:
        """The control plane knows the end; heartbeats need not list the attempt any longer."""
        self._db.execute("UPDATE attempts SET settled = 1 WHERE task_id = ? AND attempt = ?", key)

    def find(self, key: Key) -> Attempt | None:
        return next(self._attempts("WHERE task_id = ? AND attempt = ?", *key), None)

    def newest(self, task_id: str) -> Attempt | None:
        return next(self._attempts("WHERE task_id = ? ORDER BY attempt DESC LIMIT 1", task_id), None)

    def unsettled(self) -> list[Attempt]:
        """Held, or ended without the control plane knowing yet."""
        return list(self._attempts("WHERE settled = 0 ORDER BY number"))

    def held(self) -> list[Key]:
        """What heartbeats list: the keys of all unsettled attempts, up to what one heartbeat carries."""
        rows = self._db.execute(
            "SELECT task_id, attempt FROM attempts WHERE settled = 0 ORDER BY number LIMIT ?", (HELD,)
        )
        return [Key(*row) for row in rows]

    def prune(self, keep: int = REMEMBERED) -> list[Key]:
        """Forget settled attempts but the `keep` newest; returns the forgotten ones."""
        done = self._db.execute(
            "DELETE FROM attempts WHERE settled = 1"
            " AND number <= (SELECT coalesce(max(number), 0) FROM attempts) - ? RETURNING task_id, attempt",
            (keep,),
        )
        return [Key(*row) for row in done.fetchall()]

    # -- outbox

    def pending(self, task_id: str) -> OutboxRow | None:
        """The oldest unanswered report of a task."""
        row = self._db.execute(
            "SELECT id, task_id, attempt, transport, body, url, token FROM outbox"
            " WHERE task_id = ? ORDER BY id LIMIT 1",
            (task_id,),
        ).fetchone()
        return None if row is None else OutboxRow(row[0], Key(row[1], row[2]), *row[3:])

    def pending_tasks(self) -> list[str]:
        """Tasks with unanswered reports, oldest report first."""
        rows = self._db.execute("SELECT task_id FROM outbox GROUP BY task_id ORDER BY min(id)")
        return [row[0] for row in rows]

    def answered(self, row: OutboxRow) -> None:
        self._db.execute("DELETE FROM outbox WHERE id = ?", (row.id,))

    # -- the file

    def _put(
        self, key: Key, submission: Submission, transport: Transport, report: Report | None
    ) -> int | None:
        if report is None:
            return None
        url = submission.status_callback_url if transport == "http" else None
        done = self._db.execute(
            "INSERT INTO outbox (task_id, attempt, transport, body, url, token) VALUES (?, ?, ?, ?, ?, ?)",
            (
                *key,
                transport,
                report.model_dump_json(exclude_none=True),
                url,
                submission.status_callback_token,
            ),
        )
        return done.lastrowid

    def _attempts(self, where: str, *values: object) -> Iterator[Attempt]:
        rows = self._db.execute(
            "SELECT task_id, attempt, submission, transport, phase, outcome, settled, changed_at"
            " FROM attempts " + where,
            values,
        ).fetchall()
        for task_id, attempt, submission, transport, phase, outcome, settled, changed_at in rows:
            parsed = Submission.model_validate_json(submission)
            yield Attempt(Key(task_id, attempt), parsed, transport, phase, outcome, bool(settled), changed_at)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set_fact(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    def _lock_directory(self) -> int:
        handle = os.open(self.directory / "runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise ConfigError(
                f"another runner works with {self.directory}: stop it, or name another state directory"
            ) from None
        return handle
