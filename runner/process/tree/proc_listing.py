"""Lists the children of this process without opening a file, for when no descriptors are left.

/proc is opened once at the start and read by the C library, which needs no further descriptor; `waitid` tells
whether a pid is a child. Standard library only: the shim imports it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

from runner.isolation.process_traits import LIBC

NAME_OFFSET = 19  # in struct dirent of 64-bit Linux: d_ino, d_off, d_reclen, d_type

_held: int | None = None  # a DIR *
LIBC.opendir.restype = LIBC.readdir.restype = ctypes.c_void_p
LIBC.readdir.argtypes = LIBC.rewinddir.argtypes = [ctypes.c_void_p]


def hold() -> None:
    """Open /proc. Call it in the process that lists: a fork shares the directory's read position."""
    global _held
    _held = LIBC.opendir(b"/proc")


def children() -> list[int]:
    """The children that were not yet waited for, dead ones included."""
    return [pid for pid in _numbers() if _is_child(pid)]


def _numbers() -> Iterator[int]:
    if _held is None:
        return
    LIBC.rewinddir(_held)
    while (entry := LIBC.readdir(_held)) is not None:
        name = ctypes.string_at(entry + NAME_OFFSET)
        if name.isdigit():
            yield int(name)


def _is_child(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False
