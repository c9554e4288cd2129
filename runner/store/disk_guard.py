"""Disk guard: whether the state directory can be written, and what happens while it cannot.

A full disk stops the intake, not the work: running attempts continue under their lease and stay in the
heartbeats, and each write that must not be lost waits for free space. It is then reported late, but never
wrongly. A permanently damaged file accepts no writes: the intake stays closed, and an attempt that ends is no
longer listed in the heartbeats, so the control plane ends it as `runner-lost`.
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
    """The known state of the directory. The intake is open only if `reserve` bytes are free."""

    def __init__(self, state: RunnerState, reserve: int) -> None:
        self._state = state
        self._reserve = reserve
        self._trouble: StateTrouble | None = None

    @property
    def trouble(self) -> str | None:
        """The fault and its remedy; None if there is none."""
        return str(self._trouble) if self._trouble else None

    def note(self, trouble: StateTrouble) -> None:
        """Record a failed read or write. Logged once, until it ends or changes."""
        if self._trouble is not None and self._trouble.damaged:
            return
        if self._trouble is None:
            log.error("state not usable, taking no attempts", error=str(trouble), damaged=trouble.damaged)
        self._trouble = trouble

    def usable(self) -> bool:
        """Check now. A fault ends only after a successful write."""
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
        """Wait until the intake may open; without end if the file is damaged."""
        while True:
            if self.usable():
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def keep(self, step: Callable[[], T]) -> T:
        """Retry `step` until the disk accepts it; returns its result. StateTrouble if the file is damaged."""
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
