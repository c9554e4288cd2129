"""Signals that stop a service cleanly, and descriptors that a forked child must not inherit."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Collection
from pathlib import Path


def stop_signals(*numbers: int) -> tuple[int, ...]:
    """`numbers` and SIGHUP (sent by a closing terminal), unless SIGHUP was ignored at the start (`nohup`)."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return numbers if ignored else (*numbers, signal.SIGHUP)


class Wakeups:
    """Waits that a handled signal ends; `signal.sigtimedwait` goes on once the handler has returned."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def wait(self, seconds: float) -> None:
        """Wait for a signal, or for `seconds`."""
        if select.select([self._reading], [], [], seconds)[0]:
            os.read(self._reading, 4096)


def let_go_of_descriptors(keep: Collection[int]) -> None:
    """In a forked child: close every descriptor except the standard ones and `keep`.

    Their numbers are reopened on /dev/null: an object of the parent that is collected later closes its
    number, which must not belong to another file by then.
    """
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for entry in list(Path("/dev/fd").iterdir()):
        number = int(entry.name)
        if number > 2 and number != nowhere and number not in keep:
            try:
                os.fstat(number)
            except OSError:  # the descriptor of the listing itself, closed already
                continue
            os.dup2(nowhere, number, inheritable=False)
