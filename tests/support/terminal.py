"""A shell on a terminal of its own: commands are typed one after the other, their output is read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

from tests.support.towpath import COMMAND_SECONDS, Home

COLUMNS = 200
"""Wide enough that no line is folded."""
_PROMPT = "next-command-after"
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One bash; `home` ends what a failed test leaves in it."""

    def __init__(self, home: Home, directory: Path) -> None:
        self._screen, shell_side = pty.openpty()
        fcntl.ioctl(shell_side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=directory,
            env={
                **home.env,
                "HOME": str(home.path),
                "TERM": "xterm",
                "NO_COLOR": "1",
                "COLUMNS": str(COLUMNS),
            },
            stdin=subprocess.PIPE,
            stdout=shell_side,
            stderr=shell_side,
            start_new_session=True,
        )
        os.close(shell_side)
        self._unread = ""

    def type(self, command: str) -> None:
        """Start `command`; what it prints is read by one of the others."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '%s %s\\n' {_PROMPT} $?\n".encode())
        self._shell.stdin.flush()

    def run(self, command: str) -> str:
        """`command` to its end; what it printed."""
        self.type(command)
        return self.read_to_end()

    def read_to_end(self) -> str:
        """What the command prints until it has ended."""
        return self._read(re.compile(rf"{_PROMPT} \d+\n"))

    def read_to_line(self, line: str) -> str:
        """What a command that goes on prints, up to and with `line`."""
        found = re.compile(rf"(?m)^{re.escape(line)}\n")
        return self._read(found) + line + "\n"

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT for the shell's foreground."""
        os.killpg(self._shell.pid, signal.SIGINT)

    @property
    def pid(self) -> int:
        """The shell's."""
        return self._shell.pid

    def close(self) -> None:
        """End the shell, but not what a failed test left running in it."""
        self._shell.kill()
        self._shell.communicate()
        os.close(self._screen)

    def _read(self, until: re.Pattern[str]) -> str:
        deadline = time.monotonic() + COMMAND_SECONDS
        while (found := until.search(self._unread)) is None:
            ready, _, _ = select.select([self._screen], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {until.pattern!r} in {self._unread!r}"
            more = os.read(self._screen, 65536).decode(errors="replace")
            self._unread = _STYLES.sub("", self._unread + more).replace("\r\n", "\n")
        read, self._unread = self._unread[: found.start()], self._unread[found.end() :]
        return read
