"""Moves a damaged SQLite read model aside, so that it is rebuilt from the log."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from infra.config.settings import Settings

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MOVED = ("", "-wal", "-shm")


def move_aside(settings: Settings) -> str | None:
    """Move a damaged file and SQLite's files beside it; returns a message, or None if nothing is damaged.

    Reads only the schema and the position, which is cheap. Call it while no process uses the file.
    """
    if settings.read_model_url.get_backend_name() != "sqlite" or not settings.read_model_url.database:
        return None
    file = settings.data_dir / settings.read_model_url.database
    damage = _damage(str(file)) if file.is_file() else None
    if damage is None:
        return None
    aside = file.with_name(f"{file.name}.damaged-{time.time_ns()}")
    for end in _MOVED:
        part = file.with_name(file.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    return f"read model is damaged ({damage}): moved to {aside}, and made again from the log"


def _damage(file: str) -> str | None:
    try:
        with closing(sqlite3.connect(file, timeout=1.0)) as connection:
            for name, kind in connection.execute("SELECT name, type FROM sqlite_master").fetchall():
                if kind == "table" and not name.startswith("sqlite_"):
                    connection.execute(f'SELECT * FROM "{name}" LIMIT 1').fetchall()
    except sqlite3.DatabaseError as error:
        return str(error) if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGED else None
    return None
