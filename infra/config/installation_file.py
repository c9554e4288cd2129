"""Finds and reads installation files (see `installation.py`) with small modules of the standard library.

`towpath lock` pays for each import before its command starts.
"""

from __future__ import annotations

import fcntl
import os
import stat

from domain.validation import light_json as json

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

FILE = "installation.json"
STORE = "nats"
DIRECTORY = ".towpath"
MAX_BYTES = 1 << 16


def nearest(start: str, name: str = DIRECTORY) -> str | None:
    """The data directory `name` of an `up`, in `start` or the nearest directory above it."""
    while True:
        found = os.path.join(start, name)
        if is_of_up(found):
            return found
        above = os.path.dirname(start)
        if above == start:
            return None
        start = above


def is_of_up(directory: str) -> bool:
    """Whether an `up` runs or ran on our directory; processes run alone leave neither file there."""
    try:
        ours = os.stat(directory).st_uid in (0, os.geteuid())
    except OSError:
        return False
    return ours and (
        os.path.isfile(os.path.join(directory, FILE)) or os.path.isdir(os.path.join(directory, STORE))
    )


def read(directory: str) -> dict[str, Any] | None:
    """The content of the file; None without a running `up`, or if other users could have written it."""
    try:
        path = os.path.join(directory, FILE)
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        about = os.fstat(file)
        ours = about.st_uid in (0, os.geteuid()) and not about.st_mode & 0o077
        if not (ours and stat.S_ISREG(about.st_mode)) or not _is_held(file):
            return None
        found = json.loads(os.read(file, MAX_BYTES))
    except (OSError, ValueError):
        return None
    finally:
        os.close(file)
    return found if isinstance(found, dict) else None


def _is_held(file: int) -> bool:
    """Whether another process holds the lock."""
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
