"""The runner's durable state: held attempts and the outbox of unanswered reports.

One SQLite file, mode 0600 (`state_file`). Calls are synchronous, since each takes about a millisecond and
commits must keep the order of the calls; each may raise StateTrouble, and then has written nothing. An
attempt and its report are always written in one transaction. A job's environment and callback token are
deleted when the attempt ends. What heartbeats need (the counter, the held attempts) is also in memory, so
that a full disk does not stop them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from domain.context.trace import current_traceparent
from domain.identifiers import RunnerId, TaskId
from domain.protocol import MAX_HELD, Report, Submission
from runner.errors import RunnerConfigError, StateTrouble
from runner.store.state_file import StateFile

Transport = Literal["http", "nats"]
Phase = Literal["accepted", "starting", "running", "ended"]

REMEMBERED = 10_000
SETTLE = "UPDATE attempts SET settled = 1, bare = NULL, bare_token = NULL"
HELD = MAX_HELD
"""Limit of unsettled attempts, enforced by the intake: as many as fit into an HTTP heartbeat (512 KiB)."""
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
CREATE INDEX IF NOT EXISTS outbox_of_task ON outbox (task_id, id);
"""
ADDED = (
    ("attempts", "traceparent"),
    ("attempts", "bare"),
    ("attempts", "bare_token"),
    ("outbox", "traceparent"),
    ("outbox", "message_id"),
)
"""Text columns (nullable) that are added to files of an earlier version when they are opened."""


class Key(NamedTuple):
    """Identifies an attempt."""

    task_id: TaskId
    attempt: int

    @property
    def file_stem(self) -> str:
        return f"{self.task_id}.{self.attempt}"


@dataclass(frozen=True)
class Attempt:
    """One row: an attempt as last written. `settled`: the control plane knows how it ended."""

    key: Key
    submission: Submission
    transport: Transport
    phase: Phase
    outcome: str | None
    settled: bool
    changed_at: float
    traceparent: str | None = None
    bare: str | None = None
    """The end without any text, to be reported if the report with text had no effect."""


@dataclass(frozen=True)
class OutboxRow:
    """One unanswered report, its destination, and the trace that it was made in.

    `message_id` is random: the broker drops a message whose id it has seen, from any sender.
    """

    id: int
    key: Key
    transport: Transport
    body: str
    url: str | None
    token: str | None
    traceparent: str | None
    message_id: str

    @property
    def report(self) -> Report:
        return Report.model_validate_json(self.body)


class RunnerState:
    """The state directory of one runner process; a second process with the same directory is rejected."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            for path in (directory, self.outputs, self.shims, self.work):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
                if path != directory or all(_is_ours(one.name) for one in directory.iterdir()):
                    path.chmod(0o700)  # made with another mode by an earlier version or umask
        except OSError as error:
            raise RunnerConfigError(f"cannot use {directory} for the runner's state: {error}") from None
        self.file = StateFile(directory, SCHEMA, ADDED)
        try:
            self.file.run(
                "UPDATE outbox SET message_id = lower(hex(randomblob(16))) WHERE message_id IS NULL"
            )
            held = self.file.rows("SELECT task_id, attempt FROM attempts WHERE settled = 0 ORDER BY number")
            self._counter = int(self._fact("counter") or 0)
            self._instance = self._fact("instance") or secrets.token_hex(8)
            self._set_fact("instance", self._instance)
        except StateTrouble as trouble:
            self.file.close()
            raise RunnerConfigError(f"cannot use the state in {directory}: {trouble}") from None
        self._held = dict.fromkeys(Key(*row) for row in held)  # in order of acceptance

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
        self.file.close()

    # -- who this runner is

    def runner_id(self, wanted: str | None) -> RunnerId:
        """`wanted`, else the stored id, else a new one: a runner without its state is a new runner."""
        known = self._fact("runner_id")
        runner_id = wanted or known or f"runner-{secrets.token_hex(5)}"
        if runner_id != known:
            self._set_fact("runner_id", runner_id)
        return RunnerId(runner_id)

    @property
    def instance(self) -> str:
        """Random, generated once for this directory: distinguishes two runners with the same id."""
        return self._instance

    def next_counter(self) -> int:
        """A number above all earlier ones, also across restarts and after the directory was emptied.

        It is at least the time in milliseconds, which replaces the stored value while the disk is full.
        """
        self._counter = max(self._counter + 1, time.time_ns() // 1_000_000)
        with suppress(StateTrouble):
            self._set_fact("counter", str(self._counter))
        return self._counter

    # -- attempts

    def accept(self, submission: Submission, transport: Transport, report: Report | None) -> bool:
        """Hold a new attempt; False, with nothing written, if it is known already."""
        key = Key(submission.task_id, submission.attempt)
        with self.file.transaction():
            done = self.file.run(
                "INSERT OR IGNORE INTO attempts (task_id, attempt, submission, transport, phase, changed_at,"
                " traceparent) VALUES (?, ?, ?, ?, 'accepted', ?, ?)",
                (*key, submission.model_dump_json(), transport, time.time(), current_traceparent()),
            )
            if done.rowcount == 0:
                return False
            self._put(key, submission, transport, report)
        self._held[key] = None
        return True

    def advance(self, attempt: Attempt, phase: Phase, report: Report | None = None) -> int | None:
        """Set the attempt's phase; returns the id of its report, if any.

        Without a report nothing depends on it after a power cut: it was open, and nothing of it runs.
        """
        with nullcontext() if report is not None else self.file.repeatable(), self.file.transaction():
            self.file.run(
                "UPDATE attempts SET phase = ?, changed_at = ? WHERE task_id = ? AND attempt = ?",
                (phase, time.time(), *attempt.key),
            )
            return self._put(attempt.key, attempt.submission, attempt.transport, report)

    def end(self, attempt: Attempt, outcome: str, report: Report | None) -> None:
        """End the attempt and delete its secrets; without a report it is settled at once."""
        kept = attempt.submission.without_secrets()
        bare = self._signed(report.bare) if report is not None and attempt.transport == "nats" else None
        with self.file.transaction():
            self.file.run(
                "UPDATE attempts SET phase = 'ended', outcome = ?, settled = ?, submission = ?,"
                " changed_at = ?, bare = ?, bare_token = ? WHERE task_id = ? AND attempt = ?",
                (
                    outcome,
                    report is None,
                    kept.model_dump_json(),
                    time.time(),
                    bare and bare.model_dump_json(exclude_none=True),
                    bare and attempt.submission.status_callback_token,
                    *attempt.key,
                ),
            )
            self._put(attempt.key, attempt.submission, attempt.transport, report)
        if report is None:
            self.let_go(attempt.key)
        # Old pages in the WAL still hold the secrets. The end is stored anyway, and the next end retries
        # this.
        with suppress(StateTrouble):
            self.file.run("PRAGMA wal_checkpoint(TRUNCATE)")

    def settle(self, key: Key) -> None:
        """The control plane knows the end; heartbeats no longer list the attempt.

        If that is lost, the next start finds it out again.
        """
        with self.file.repeatable():
            self.file.run(f"{SETTLE} WHERE task_id = ? AND attempt = ?", key)
        self.let_go(key)

    def say_bare(self, key: Key) -> None:
        """Report the end again, without any text: the report with text had no effect."""
        with self.file.transaction():
            self.file.run(
                "INSERT INTO outbox (task_id, attempt, transport, body, token, traceparent, message_id)"
                " SELECT task_id, attempt, transport, bare, bare_token, traceparent, ? FROM attempts"
                " WHERE task_id = ? AND attempt = ? AND bare IS NOT NULL",
                (secrets.token_hex(16), *key),
            )
            self.file.run(
                "UPDATE attempts SET bare = NULL, bare_token = NULL WHERE task_id = ? AND attempt = ?", key
            )

    def let_go(self, key: Key) -> None:
        """Remove the attempt from heartbeats; used alone only if the file can no longer be written."""
        self._held.pop(key, None)

    def find(self, key: Key) -> Attempt | None:
        return next(self._attempts("WHERE task_id = ? AND attempt = ?", *key), None)

    def newest(self, task_id: TaskId) -> Attempt | None:
        return next(self._attempts("WHERE task_id = ? ORDER BY attempt DESC LIMIT 1", task_id), None)

    def is_open(self, key: Key) -> bool:
        """Whether the attempt is known and has not ended."""
        found = self.file.rows("SELECT phase FROM attempts WHERE task_id = ? AND attempt = ?", key)
        return bool(found) and found[0][0] != "ended"

    def unsettled(self) -> Iterator[Attempt]:
        """Held attempts, and ended ones whose end the control plane does not know yet; oldest first."""
        for key in self.held():
            found = self.find(key)
            if found is not None:
                yield found

    def settleable(self, limit: int) -> list[Attempt]:
        """Ended attempts with no reports left to send over NATS: only the log shows if the end arrived."""
        where = (
            "WHERE settled = 0 AND phase = 'ended' AND transport = 'nats' AND NOT EXISTS"
            " (SELECT 1 FROM outbox WHERE outbox.task_id = attempts.task_id) ORDER BY number LIMIT ?"
        )
        return list(self._attempts(where, limit))

    def held(self) -> list[Key]:
        """The keys of all unsettled attempts, for heartbeats; from memory."""
        return list(self._held)

    def holds(self, key: Key) -> bool:
        """Whether the attempt is unsettled; from memory, on any thread."""
        return key in self._held

    def prune(self, keep: int = REMEMBERED) -> list[Key]:
        """Delete settled attempts except the `keep` newest; returns the deleted ones."""
        rows = self.file.rows(
            "DELETE FROM attempts WHERE settled = 1"
            " AND number <= (SELECT coalesce(max(number), 0) FROM attempts) - ?"
            " RETURNING task_id, attempt",
            (keep,),
        )
        return [Key(*row) for row in rows]

    # -- outbox

    def pending(self, task_id: TaskId) -> OutboxRow | None:
        """The oldest unanswered report of a task."""
        found = self.file.rows(
            "SELECT id, task_id, attempt, transport, body, url, token, traceparent, message_id FROM outbox"
            " WHERE task_id = ? ORDER BY id LIMIT 1",
            (task_id,),
        )
        return OutboxRow(found[0][0], Key(*found[0][1:3]), *found[0][3:]) if found else None

    def pending_tasks(self) -> list[TaskId]:
        """Tasks with unanswered reports, oldest report first."""
        rows = self.file.rows("SELECT task_id FROM outbox GROUP BY task_id ORDER BY min(id)")
        return [row[0] for row in rows]

    def outbox_depth(self) -> int:
        """The number of unanswered reports."""
        return int(self.file.rows("SELECT count(*) FROM outbox")[0][0])

    def answered(self, row: OutboxRow, *, settles: bool = False) -> None:
        """Delete an answered report; if it `settles`, its attempt is settled in the same transaction.

        If that is lost, the next start sends the report once more, and the control plane knows it already.
        """
        with self.file.repeatable(), self.file.transaction():
            self.file.run("DELETE FROM outbox WHERE id = ?", (row.id,))
            if settles:
                self.file.run(f"{SETTLE} WHERE task_id = ? AND attempt = ?", row.key)
        if settles:
            self.let_go(row.key)

    # -- the file

    def _put(
        self, key: Key, submission: Submission, transport: Transport, report: Report | None
    ) -> int | None:
        if report is None:
            return None
        url = submission.status_callback_url if transport == "http" else None
        done = self.file.run(
            "INSERT INTO outbox (task_id, attempt, transport, body, url, token, traceparent, message_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                transport,
                self._signed(report).model_dump_json(exclude_none=True),
                url,
                submission.status_callback_token,
                current_traceparent(),
                secrets.token_hex(16),
            ),
        )
        return done.lastrowid

    def _signed(self, report: Report) -> Report:
        return report.model_copy(update={"instance": self._instance})

    def _attempts(self, where: str, *values: object) -> Iterator[Attempt]:
        rows = self.file.rows(
            "SELECT task_id, attempt, submission, transport, phase, outcome, settled, changed_at,"
            " traceparent, bare FROM attempts " + where,
            values,
        )
        for task_id, attempt, submission, transport, phase, outcome, settled, changed_at, *more in rows:
            parsed, key = Submission.model_validate_json(submission), Key(task_id, attempt)
            yield Attempt(key, parsed, transport, phase, outcome, bool(settled), changed_at, *more)

    def _fact(self, name: str) -> str | None:
        found = self.file.rows("SELECT value FROM facts WHERE name = ?", (name,))
        return str(found[0][0]) if found else None

    def _set_fact(self, name: str, value: str) -> None:
        self.file.run("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))


def _is_ours(name: str) -> bool:
    """Whether a runner creates this entry; a directory with other entries belongs to something else."""
    return name in {"outputs", "shims", "work", "lost+found"} or name.startswith("runner.")
