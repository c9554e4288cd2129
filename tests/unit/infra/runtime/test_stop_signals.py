"""Waits of a supervisor that a signal ends."""

from __future__ import annotations

import os
import signal
import threading

from infra.runtime.stop_signals import Wakeups

LONG_SECONDS = 600.0  # of a wait that nothing ends: longer than the test may take


def test_a_handled_signal_ends_the_wait() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: got.append(number))
    wakeup = signal.set_wakeup_fd(-1)
    try:
        wakeups = Wakeups()
        os.kill(os.getpid(), signal.SIGUSR1)
        wakeups.wait(LONG_SECONDS)
        sending = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        sending.start()
        wakeups.wait(LONG_SECONDS)
        sending.join()
        wakeups.wait(0.0)
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGUSR1, before)
    assert got == [signal.SIGUSR1, signal.SIGUSR1]
