"""Child processes that are forked from one process which has imported everything, and ended in order.

A child that dies is started again, unless it keeps dying. The parent's death ends it, too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import structlog

from infra.runtime.standard_streams import flush_words
from infra.runtime.stop_signals import let_go_of_descriptors

STOP_SECONDS = 15.0
MAX_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
WATCH_SECONDS = 0.2
LOOK_SECONDS = 0.005
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15

log = structlog.get_logger(__name__)
Words = Callable[[str], None]


class CannotStart(Exception):
    """The processes cannot start or continue; the message says what to do."""


@dataclass
class _Part:
    """One child process and how often it was started."""

    name: str
    main: Callable[[], int]
    keep: Collection[int]
    pid: int = 0
    starts: list[float] = field(default_factory=list)


class ForkedParts:
    """Starts child processes, watches them, and stops them. `say` prints lines for people."""

    def __init__(self, say: Words) -> None:
        self._say = say
        self._parts: list[_Part] = []

    def add(self, name: str, main: Callable[[], int], keep: Collection[int] = ()) -> None:
        """Start `main` in a child, which has `name` in `ps` and `top`; several may have the same.

        It keeps the standard descriptors and those of `keep`.
        """
        part = _Part(name, main, keep)
        self._parts.append(part)
        self._fork(part)

    def _fork(self, part: _Part) -> None:
        flush_words()
        part.starts.append(time.monotonic())
        parent = os.getpid()
        part.pid = os.fork()
        if part.pid == 0:
            _become_child(part, parent)

    def look(self) -> None:
        """Restart children that have died. Raises CannotStart if one keeps dying."""
        for part in self._parts:
            pid, status = os.waitpid(part.pid, os.WNOHANG)
            if pid:
                self._restart(part, os.waitstatus_to_exitcode(status))

    def _restart(self, part: _Part, code: int) -> None:
        recent = [at for at in part.starts if at > time.monotonic() - RESTART_WINDOW_SECONDS]
        if len(recent) > MAX_RESTARTS:
            raise CannotStart(f"the {part.name} keeps ending (last with {code}); see the lines above")
        self._say(f"the {part.name} ended with {code}; starting it again")
        self._fork(part)

    def stop(self, *names: str) -> None:
        """Stop the children of these names at the same time, and return when they have ended.

        Each gets SIGTERM, and SIGKILL after STOP_SECONDS, with a message.
        """
        ending = [part for part in self._parts if part.name in names]
        self._parts = [part for part in self._parts if part.name not in names]
        _end(ending)


def _become_child(part: _Part, parent: int) -> None:
    """Run the child's main function and exit; never returns."""
    code = 1
    try:
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        prctl(PR_SET_NAME, part.name.encode())
        for number in (signal.SIGINT, signal.SIGHUP):  # sent to the whole group: the parent ends us
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)  # the parent's
        let_go_of_descriptors(part.keep)
        code = part.main()
    except Exception as error:
        log.error("part failed", part=part.name, error=repr(error))
    finally:
        flush_words()
        os._exit(code)


def _end(parts: Sequence[_Part]) -> None:
    left = [part for part in parts if _tell(part, signal.SIGTERM)]
    deadline = time.monotonic() + STOP_SECONDS
    while left := [part for part in left if _lives(part)]:
        if time.monotonic() > deadline:
            for part in left:
                log.warning("part did not end in time and is killed", part=part.name)
                _tell(part, signal.SIGKILL)
                os.waitpid(part.pid, 0)
            return
        signal.sigtimedwait([], LOOK_SECONDS)


def _tell(part: _Part, number: int) -> bool:
    try:
        os.kill(part.pid, number)
    except ProcessLookupError:
        return False
    return True


def _lives(part: _Part) -> bool:
    try:
        return os.waitpid(part.pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False
