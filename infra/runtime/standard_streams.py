"""Standard streams of a service: a closed or full stream never ends the process.

The reader may exit (`up | grep -m1 ready`), the disk may be full, the terminal may be closed, or a stream was
closed from the start. Output that cannot be written is dropped, and the stream is redirected to /dev/null.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Open streams that were closed at the start (`>&-`) on /dev/null, before other files get the numbers."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the system returns the lowest free number: this one
            os.set_inheritable(opened, True)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  for the process's life


def write_words(text: str, stream: TextIO | None = None) -> None:
    """Write `text` to `stream` (default: stdout) at once; drop it if that fails."""
    stream = stream or sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # ValueError: the stream is closed
        divert(stream)


def flush_words() -> None:
    """Flush buffered output, or drop it: before a fork, and before a service ends."""
    for stream in (sys.stdout, sys.stderr):
        write_words("", stream)


def divert(stream: TextIO) -> None:
    """Redirect `stream` and its buffer to /dev/null; otherwise the flush at exit would fail again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
