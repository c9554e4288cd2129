"""Temporary directories of jobs; each lives as long as its runner.

A runner holds a lock on its own. The next runner removes a killed runner's directory if it is empty, belongs
to this user, and is not locked.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from runner.cleanup.trash import NAME as TRASH

FORM = re.compile(r"towpath-[A-Za-z0-9_-]{1,64}")
MODE = 0o711
STALE_SECONDS = 3600.0


def hold(path: Path) -> int:
    """Make `path` if needed, and lock it; returns the locked descriptor. Raises OSError."""
    while True:
        with suppress(FileExistsError):
            path.mkdir()
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.lstat()):
                return handle
        os.close(handle)  # another runner's start removed it meanwhile


def let_go(path: Path, handle: int) -> None:
    """Remove `path` if it is empty, and release the lock."""
    with suppress(OSError):
        _remove_empty(path)
    os.close(handle)


def remove_stale(parent: Path, now: float | None = None) -> None:
    """Remove empty directories in `parent` that killed runners of this user left."""
    oldest = (time.time() if now is None else now) - STALE_SECONDS
    for path in parent.glob("towpath-*"):
        if FORM.fullmatch(path.name):
            with suppress(OSError):
                _remove_if_stale(path, oldest)


def _remove_empty(path: Path) -> None:
    with suppress(OSError):
        (path / TRASH).rmdir()
    path.rmdir()


def _remove_if_stale(path: Path, oldest: float) -> None:
    seen = path.lstat()
    ours = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and stat.S_IMODE(seen.st_mode) == MODE
    if not ours or seen.st_mtime > oldest:
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_empty(path)
    finally:
        os.close(handle)
