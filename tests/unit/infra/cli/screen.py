"""A command on a terminal of its own: what a person sees, and what they type."""

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
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, TOWPATH

CTRL_C = "\x03"
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_screen(
    arguments: Sequence[str], env: Mapping[str, str], typed: Sequence[tuple[str, str]] = (), columns: int = 80
) -> tuple[int, str]:
    """The exit code of `towpath …`, and all that appears; `typed`: what to type once a text has appeared."""
    pid, screen = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a background job ignores it
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execve(TOWPATH, ["towpath", *arguments], dict(env))
    try:
        seen = _seen(pid, screen, list(typed))
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(screen)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, seen


def _seen(pid: int, screen: int, waiting: list[tuple[str, str]]) -> str:
    seen, start, deadline = "", 0, time.monotonic() + TIMEOUT_SECONDS
    while True:
        ready, _, _ = select.select([screen], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more than {seen!r}"
        try:
            more = os.read(screen, 65536)
        except OSError:  # the other side is closed
            return seen
        if not more:
            return seen
        seen = _STYLES.sub("", seen + more.decode(errors="replace")).replace("\r\n", "\n")
        while waiting and waiting[0][0] in seen[start:]:
            start = seen.index(waiting[0][0], start) + len(waiting[0][0])
            while not _sleeps(pid):  # Python loses a Ctrl-C that comes just before it reads
                assert time.monotonic() < deadline, f"it never waits for keys after {seen!r}"
            os.write(screen, waiting.pop(0)[1].encode())


def _sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "S"
