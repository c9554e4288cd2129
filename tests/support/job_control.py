"""An interactive bash on a terminal of its own: job control, Ctrl-C and Ctrl-Z as people have them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path

from tests.support.towpath import COMMAND_SECONDS, Home

_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CTRL_C, CTRL_Z, CTRL_D = "\x03", "\x1a", "\x04"


class InteractiveShell:
    """One shell; its prompt is `$ `."""

    def __init__(self, home: Home, directory: Path, **env: str) -> None:
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            shown = {**home.env, **env, "PS1": "$ ", "TERM": "xterm", "HOME": str(home.path)}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], shown)
        self._unread = ""
        self.resize(50, 200)
        self.until("$ ")

    def resize(self, rows: int, columns: int) -> None:
        """The window's size; the kernel tells the foreground process group."""
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._screen, keys.encode())

    def until(self, text: str) -> str:
        """What appears on the screen up to `text`."""
        deadline = time.monotonic() + COMMAND_SECONDS
        while text not in self._unread:
            ready, _, _ = select.select([self._screen], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self._unread!r}"
            more = os.read(self._screen, 65536).decode(errors="replace")
            self._unread = _STYLES.sub("", self._unread + more).replace("\r\n", "\n")
        found, _, self._unread = self._unread.partition(text)
        return found

    def foreground(self) -> int:
        """The terminal's foreground process group."""
        return os.tcgetpgrp(self._screen)

    def close(self) -> None:
        """End the shell."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._screen)
