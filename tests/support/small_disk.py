"""A small disk that really runs full: a tmpfs, where this process may mount one."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    """`directory`, made, with a disk of its own. Raises OSError where that is not allowed."""
    directory.mkdir()
    options = f"size={mebibytes}m".encode()
    if _libc.mount(b"tmpfs", os.fsencode(directory), b"tmpfs", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    try:
        yield directory
    finally:
        _libc.umount2(os.fsencode(directory), _DETACH)


def may_mount() -> bool:
    """Whether this process has the capability: where it has not, only limits can be filled."""
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> 21 & 1)


def fill(disk: Path, leave_bytes: int) -> Path:
    """A foreign file that leaves only so much free."""
    free = os.statvfs(disk)
    junk = disk / "junk"
    with junk.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - leave_bytes)
    return junk
