"""The front, for which the shell waits: passes signals on, stops as the command stops, and ends last.

The command is in its process group, so the terminal's own signals reach both; the front takes them without
dying. It is a subreaper: should keeper, guard and shim all be killed, it ends what they leave.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from infra.errors.exit_codes import Exit

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGWINCH)
"""The terminal sends them to its foreground process group, so to the command, too."""
PASSED = (
    *(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT, *TERMINAL),
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
HARMLESS = (signal.SIGCONT, signal.SIGWINCH)
"""They end no process by default, so no wait either."""
TAKEN = (*PASSED, signal.SIGTSTP)
GOES_ON = 0
"""Passed on instead of a signal, after each stop that the keeper has told of."""


class Front:
    """Runs until the keeper has told the exit code and nothing is left."""

    def __init__(self, passing: int, told: int, ignored: list[int]) -> None:
        """`passing`: where signals go to the keeper; `told`: what it says."""
        self._passing, self._told = passing, told
        self._taken = [number for number in TAKEN if number not in ignored]
        self._running = False
        self._early: set[int] = set()
        """Harmless signals from before it was heard that the command runs, which may be meant for it."""
        self._code: int | None = None
        self._modes = _terminal_modes()
        wake, woken = os.pipe()
        for end in (wake, woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self._wake = wake
        for number in self._taken:
            signal.signal(number, _nothing)

    def run(self) -> int:
        """The exit code."""
        rest = b""
        while True:
            ready, _, _ = select.select([self._wake, self._told], [], [])
            if self._wake in ready:
                for number in os.read(self._wake, 4096):
                    self._got(number)
            if self._told in ready:
                chunk = os.read(self._told, 4096)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._hear(line[:1], line[1:])
                if not chunk:
                    return self._code if self._code is not None else Exit.LOCK_LOST

    @property
    def was_told(self) -> bool:
        """Whether the keeper came to its end."""
        return self._code is not None

    def _hear(self, what: bytes, value: bytes) -> None:
        if what == b"S":
            self._running = True
            for number in self._early:
                self._got(number)
        elif what == b"T":
            self._stop(int(value))
            self._pass(GOES_ON)
        elif what == b"R":
            _restore(self._modes)
        elif what == b"X":
            self._code = int(value)

    def _got(self, number: int) -> None:
        if number == signal.SIGTSTP:
            if not self._running:
                self._stop(number)
        elif self._running:
            if not (number in TERMINAL and _in_foreground()):  # there the command got it, too
                self._pass(number)
        elif number in HARMLESS:
            self._early.add(number)
        else:
            self._pass(number)

    def _pass(self, number: int) -> None:
        with suppress(OSError):
            os.write(self._passing, bytes([number]))

    def _stop(self, number: int) -> None:
        """Stop as the command did, so that the shell takes the terminal back."""
        if number != signal.SIGSTOP:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        if number in self._taken:
            signal.signal(number, _nothing)


def _nothing(_number: int, _frame: Any) -> None:
    """Handled in `run`; a handler, as the command would inherit an ignored signal."""


def _terminal_modes() -> list[Any] | None:
    """The terminal's settings, None without one."""
    import termios

    with suppress(OSError, termios.error), open("/dev/tty", "rb", buffering=0) as terminal:
        return termios.tcgetattr(terminal)
    return None


def _restore(modes: list[Any] | None) -> None:
    """Set the terminal's settings again: a command that was killed may have left it without echo."""
    import termios

    if modes is None or not _in_foreground():
        return
    with suppress(OSError, termios.error), open("/dev/tty", "rb", buffering=0) as terminal:
        termios.tcsetattr(terminal, termios.TCSADRAIN, modes)


def _in_foreground() -> bool:
    """Whether the terminal's own signals go to this process group."""
    with suppress(OSError), open("/dev/tty", "rb", buffering=0) as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False
