"""Writes to standard error without hanging: a terminal may be stopped, and a full pipe may have no reader.

The file's flags are shared with other processes, so it is not made non-blocking: a thread writes, and is left
behind if another process fills the pipe meanwhile.
"""

from __future__ import annotations

import _thread
import os
import select
from contextlib import suppress

MOST_SECONDS = 1.0
CONTINUED = "\n  "
"""Begins a further line of a message."""


def tell(text: str) -> None:
    """Show one message of `towpath lock`, or drop it where standard error takes nothing."""
    lines = text.split(CONTINUED)
    write(f"towpath lock: {CONTINUED.join(map(printable, lines))}\n")


def printable(text: str) -> str:
    """`text` without what a terminal would obey or show elsewhere: titles are written by other people."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def write(text: str, handle: int = 2, seconds: float = MOST_SECONDS) -> None:
    """Write `text`, within twice `seconds` or not (whole)."""
    looking = select.poll()
    looking.register(handle, select.POLLOUT)
    if not looking.poll(seconds * 1000):
        return
    done = _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(_write, (handle, text.encode("utf-8", "replace"), done))
    done.acquire(timeout=seconds)


def _write(handle: int, content: bytes, done: _thread.LockType) -> None:
    with suppress(OSError):
        while content:
            content = content[os.write(handle, content) :]
    done.release()
