"""Disk guard: whether the state directory can be written, and what happens while it cannot.

A full disk stops the intake, not the work: what runs goes on under its lease and stays in the heartbeats,
and each write that must not be lost waits here until there is room. It is then reported late, but
never wrongly. A file that is damaged for good takes nothing any more: the intake stays closed, and an
attempt that ends is no longer listed in the heartbeats, so that the control plane calls it `runner-lost`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import structlog

from runner.errors import StateTrouble
from runner.store.state import RunnerState

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
LOOK_SECONDS = 1.0

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Storage:
    """What is known about the state directory. `reserve` bytes must be free for the intake to be open."""

    def __init__(self, state: RunnerState, reserve: int) -> None:
        self._state = state
        self._reserve = reserve
        self._trouble: StateTrouble | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong and what to do; None where all is well."""
        return str(self._trouble) if self._trouble else None

    def note(self, trouble: StateTrouble) -> None:
        """Something could not be read or written. Said once, until it is over or changes."""
        if self._trouble is not None and self._trouble.damaged:
            return
        if self._trouble is None:
            log.error("state not usable, taking no attempts", error=str(trouble), damaged=trouble.damaged)
        self._trouble = trouble

    def usable(self) -> bool:
        """Look now. After trouble it is over only once something could be written."""
        if self._trouble is not None and self._trouble.damaged:
            return False
        try:
            self._state.file.check(self._reserve)
            if self._trouble is not None:
                self._state.file.probe()
        except StateTrouble as trouble:
            self.note(trouble)
            return False
        if self._trouble is not None:
            self._trouble = None
            log.info("state usable again, taking attempts")
        return True

    async def wait_usable(self) -> None:
        """Until the intake may be open; without end where the file is damaged."""
        while True:
            if self.usable():
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def keep(self, step: Callable[[], T]) -> T:
        """The result of `step`, tried until the disk takes it. Raises StateTrouble where it never will."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return step()
            except StateTrouble as trouble:
                self.note(trouble)
                if trouble.damaged:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
