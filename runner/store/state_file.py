"""The SQLite file of the state: one owner, checked on opening, explicit about disk errors.

WAL with synchronous=FULL: a commit is on the disk, but for what `repeatable` marks. SQLite's errors become
StateTrouble, which tells a disk that may have space again (wait) from a permanently damaged file (damaged).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runner.errors import RunnerConfigError, StateTrouble

NAME = "runner.sqlite3"
PROBE_BYTES = 64 * 1024
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
ADVICE = (
    "move it away, start again, and the runner begins as a new one; the control plane will call "
    "what it held runner-lost"
)


class StateFile:
    """The open file. A second runner in the directory, or a damaged file, raises RunnerConfigError."""

    def __init__(self, directory: Path, schema: str, added: Sequence[tuple[str, str]] = ()) -> None:
        """`added`: (table, text column) that a file of an earlier version may lack."""
        self.directory = directory
        self.path = directory / NAME
        self._lock = _lock(directory)
        try:
            _make_private(self.path)
            self._inode = self.path.stat().st_ino
            self._db = sqlite3.connect(self.path, isolation_level=None)
            self._begin(schema, added)
        except (OSError, StateTrouble) as error:
            os.close(self._lock)
            raise RunnerConfigError(f"cannot use the state in {directory}: {error}") from None

    def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    def run(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises StateTrouble, even if only its result cannot be read."""
        with self._honest():
            return self._db.execute(sql, values)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement. Raises StateTrouble."""
        with self._honest():
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all or nothing. Raises StateTrouble after a rollback."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite rolls back by itself after some errors
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """Statements that a power cut may undo, since their loss only repeats work: they need no fsync.

        They are kept if the process is killed, and a later synced transaction syncs them, too.
        """
        self.run("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self.run("PRAGMA synchronous = FULL")

    def check(self, reserve: int) -> None:
        """Raise StateTrouble if the file was replaced, or fewer than `reserve` bytes are free."""
        try:
            present = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            present = False
        if not present:
            raise StateTrouble(
                f"{self.path} was removed or replaced under this runner: restart it", damaged=True
            )
        free = shutil.disk_usage(self.directory).free
        if free < reserve:
            raise StateTrouble(
                f"only {free >> 20} MiB are free on the disk of {self.directory}, and the runner wants "
                f"{-(-reserve >> 20)} MiB for the reports of what it runs: make room there"
            )

    def probe(self) -> None:
        """Write and roll back as much as a large report. Raises StateTrouble."""
        self.run("INSERT OR REPLACE INTO facts (name, value) VALUES ('probe', zeroblob(?))", (PROBE_BYTES,))
        self.run("DELETE FROM facts WHERE name = 'probe'")

    def _begin(self, schema: str, added: Sequence[tuple[str, str]]) -> None:
        with self._honest():
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise StateTrouble(f"{self.path} is damaged ({found}): {ADVICE}", damaged=True)
            self._db.executescript(schema)
            for table, column in added:
                known = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
                if column not in known:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")

    def _no_room(self) -> bool:
        """Whether the disk is full: SQLite may report that as an I/O error."""
        return shutil.disk_usage(self.directory).free < PROBE_BYTES

    @contextmanager
    def _honest(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in DAMAGED:
                raise StateTrouble(f"{self.path} is damaged ({error}): {ADVICE}", damaged=True) from None
            if code == sqlite3.SQLITE_FULL or self._no_room():
                raise StateTrouble(f"the disk of {self.directory} is full: make room there") from None
            if isinstance(error, sqlite3.OperationalError):
                raise StateTrouble(
                    f"cannot use {self.path}: {error}; look at its disk and its rights"
                ) from None
            raise


def _lock(directory: Path) -> int:
    try:
        handle = os.open(directory / "runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(handle, 0o600)  # a umask may have removed even the owner's rights
    except OSError as error:
        raise RunnerConfigError(f"cannot use the state in {directory}: {error}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise RunnerConfigError(
            f"another runner works with {directory}: stop it, or name another state directory"
        ) from None
    return handle


def _make_private(path: Path) -> None:
    """Accessible to its owner only, independent of the umask; SQLite's files beside it inherit the mode."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
