"""Signals that ask a command to end, as one exception."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

TOGETHER_SECONDS = 0.5
"""Signals that come so close together are one: `timeout` signals its command twice, and a group of processes
gets what a process in front of one of them passes on, too."""


@contextlib.contextmanager
def interrupting(together_seconds: float = TOGETHER_SECONDS) -> Iterator[None]:
    """SIGTERM and SIGHUP act like Ctrl-C, unless the caller ignores them, as `nohup` does."""
    last = -together_seconds

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= together_seconds:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
