"""Standard streams of a service: a closed or full one never ends the process.

A reader may leave (`up | grep -m1 ready`), a disk may be full, a terminal may be gone, or a stream was closed
from the start. What cannot be written is dropped; from then on the stream leads to /dev/null.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Open what was closed at the start (`>&-`) on /dev/null, before a socket or a file gets its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(opened, True)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def write_words(text: str, stream: TextIO | None = None) -> None:
    """`text` on `stream` (stdout) at once, or nothing where that cannot be done."""
    stream = stream or sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # ValueError: it was closed
        divert(stream)


def flush_words() -> None:
    """Write what is still to be written, or drop it: before a fork, and before the end of a service."""
    for stream in (sys.stdout, sys.stderr):
        write_words("", stream)


def divert(stream: TextIO) -> None:
    """Lead `stream` to /dev/null, with what it still holds: it would fail again when the process ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
