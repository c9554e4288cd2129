"""The lease: the right to let processes run, renewed by acknowledged heartbeats."""

from __future__ import annotations

import asyncio
from typing import Protocol

from runner.clock import boottime


class Lease(Protocol):
    """Whether this runner may start and keep processes just now."""

    @property
    def deadline(self) -> float | None:
        """CLOCK_BOOTTIME at which everything must be dead; None where no lease is in force."""

    @property
    def valid(self) -> bool: ...

    async def wait_valid(self) -> None: ...


class NoLease:
    """For a runner without heartbeats: its absence goes unnoticed, so nothing depends on it."""

    deadline: float | None = None
    valid = True

    async def wait_valid(self) -> None:
        return


class HeartbeatLease:
    """Runs from the sending of the last acknowledged heartbeat; not valid before the first one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._renewed = asyncio.Event()
        self._deadline = 0.0

    @property
    def deadline(self) -> float | None:
        return self._deadline

    @property
    def valid(self) -> bool:
        return boottime() < self._deadline

    def renew(self, sent_at: float) -> float:
        """A heartbeat sent at `sent_at` was acknowledged; the new deadline. It never goes back."""
        self._deadline = max(self._deadline, sent_at + self._seconds)
        self._renewed.set()
        return self._deadline

    async def wait_valid(self) -> None:
        while not self.valid:
            self._renewed.clear()
            await self._renewed.wait()
