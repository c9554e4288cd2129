"""Child processes that are forked from one process which has imported everything, and ended in order.

A child that dies is started again, with growing pauses, unless it keeps dying. The parent's death ends it,
too.
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
PAUSE_SECONDS = (0.0, 0.0, 0.5, 1.0, 2.0, 4.0)
"""Before each start within the window: what ended a child may be over soon, such as a lack of memory."""
WATCH_SECONDS = 0.2
LOOK_SECONDS = 0.005
NO_ROOM = "allow this user or container more processes, or free memory"
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
    """0 where it does not run: the system may give its former number to another process."""
    starts: list[float] = field(default_factory=list)
    """Also those that failed."""
    due: float | None = None
    """When it is started again."""


class ForkedParts:
    """Starts child processes, watches them, and stops them. `say` prints lines for people."""

    def __init__(self, say: Words) -> None:
        self._say = say
        self._parts: list[_Part] = []

    def add(self, name: str, main: Callable[[], int], keep: Collection[int] = ()) -> None:
        """Start `main` in a child, which has `name` in `ps` and `top`; several may have the same.

        It keeps the standard descriptors and those of `keep`. Raises CannotStart if the system has no room.
        """
        part = _Part(name, main, keep)
        self._parts.append(part)
        try:
            _start(part)
        except OSError as error:
            raise CannotStart(f"the {name} cannot be started: {error.strerror}; {NO_ROOM}") from None

    def look(self) -> None:
        """Start children again that have died. Raises CannotStart if one keeps dying."""
        for part in self._parts:
            if part.pid:
                pid, status = os.waitpid(part.pid, os.WNOHANG)
                if pid:
                    part.pid = 0
                    code = os.waitstatus_to_exitcode(status)
                    self._plan(part, f"ended with {code}", f"last with {code}")
            if part.due is not None and part.due <= time.monotonic():
                self._start_again(part)

    def _start_again(self, part: _Part) -> None:
        part.due = None
        try:
            _start(part)
        except OSError as error:
            self._plan(part, f"cannot be started ({error.strerror})", f"{error.strerror}: {NO_ROOM}")

    def _plan(self, part: _Part, why: str, last: str) -> None:
        """Start the part again in a moment, unless that was done too often."""
        now = time.monotonic()
        part.starts = [at for at in part.starts if at > now - RESTART_WINDOW_SECONDS]
        if len(part.starts) > MAX_RESTARTS:
            raise CannotStart(f"the {part.name} keeps ending ({last}); see the lines above")
        self._say(f"the {part.name} {why}; starting it again")
        part.due = now + PAUSE_SECONDS[len(part.starts)]

    def stop(self, *names: str) -> None:
        """Stop the children of these names at the same time, and return when they have ended.

        Each gets SIGTERM, and SIGKILL after STOP_SECONDS, with a message.
        """
        ending = [part for part in self._parts if part.name in names]
        self._parts = [part for part in self._parts if part.name not in names]
        _end(ending)


def _start(part: _Part) -> None:
    """Fork. Raises OSError if the system has no room for another process.

    Signals wait meanwhile: the child must not hand one of its own to the parent's handlers, which it still
    has in its first moments.
    """
    flush_words()
    part.starts.append(time.monotonic())
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        part.pid = os.fork()
        if part.pid == 0:
            _become_child(part, parent, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _become_child(part: _Part, parent: int, unblocked: Collection[int]) -> None:
    """Run the child's main function and exit; never returns. `unblocked`: its mask of signals."""
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
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        let_go_of_descriptors(part.keep)
        code = part.main()
    except Exception as error:
        log.error("part failed", part=part.name, error=repr(error))
    finally:
        flush_words()
        os._exit(code)


def _end(parts: Sequence[_Part]) -> None:
    left = [part for part in parts if part.pid and _tell(part, signal.SIGTERM)]
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
