"""Signals that ask a command to end."""

from __future__ import annotations

import os
import signal

import pytest

from infra.cli.client.following.interruption import interrupting

GROUP = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def test_signals_that_come_together_interrupt_once() -> None:
    with interrupting(together_seconds=3600.0):
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)
        send(*GROUP)


def test_a_later_signal_interrupts_again() -> None:
    with interrupting(together_seconds=0.0):
        for number in GROUP:
            with pytest.raises(KeyboardInterrupt):
                send(number)


def test_a_signal_that_the_caller_ignores_interrupts_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupting():
            send(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
