"""A child of this process that another process has forked for it, so that asyncio does not know it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Protocol

UNKNOWN_CODE = 255


class Child(Protocol):
    """A child process, as asyncio's own `Process`."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that killed it."""

    async def wait(self) -> int: ...


class ForkedChild:
    """Waits for the child and reaps it."""

    def __init__(self, pid: int) -> None:
        """Raises ChildProcessError if it is no child of this process, OSError if it cannot be watched."""
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        self.pid = pid
        self._handle = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._code: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._handle, self._reap)

    @property
    def returncode(self) -> int | None:
        return self._code.result() if self._code.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    def _reap(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        code = UNKNOWN_CODE
        with contextlib.suppress(ChildProcessError):
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._code.set_result(code)
