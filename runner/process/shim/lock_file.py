"""The lock file that a guard and its shim hold, for a later runner to find.

It names processes to kill, so only a file made by a guard of this user counts: a regular file with one link,
accessible to its owner only. Any other file of that name is ignored.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import structlog

from runner.process.shim.protocol import Facts, written_facts

MAX_BYTES = 16 * 1024


def open_own(path: Path) -> int | None:
    """A descriptor of the lock's file; None if it is missing or was not made by a guard."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:  # a link, a directory, a socket, another user's file
        _warn(path, error.strerror or "cannot be opened")
        return None
    seen = os.fstat(handle)
    private = stat.S_IMODE(seen.st_mode) & 0o077 == 0
    if stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid() and seen.st_nlink == 1 and private:
        return handle
    os.close(handle)
    _warn(path, "it is not a plain file with one name for this user only")
    return None


def read_facts(handle: int) -> Facts | None:
    """The processes that hold the lock; None if the content is invalid."""
    text = os.pread(handle, MAX_BYTES + 1, 0)
    return written_facts(text) if len(text) <= MAX_BYTES else None


def _warn(path: Path, why: str) -> None:
    structlog.get_logger(__name__).warning("file ignored: no lock of a shim", path=str(path), why=why)
