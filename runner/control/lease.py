"""The lease: the right to let processes run, renewed by acknowledged heartbeats."""

from __future__ import annotations

import asyncio
from typing import Protocol

from runner.clock import boottime


class Lease(Protocol):
    """Whether this runner may start and keep processes now."""

    @property
    def deadline(self) -> float | None:
        """CLOCK_BOOTTIME by which all processes must be dead; None without a lease."""

    @property
    def valid(self) -> bool: ...

    async def wait_valid(self) -> None: ...


class NoLease:
    """For a runner without heartbeats: the control plane cannot notice its loss, so it needs no lease."""

    deadline: float | None = None
    valid = True

    async def wait_valid(self) -> None:
        return


class HeartbeatLease:
    """Valid for some time after the last acknowledged heartbeat was sent; not before the first one."""

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

    @property
    def ever_renewed(self) -> bool:
        return self._deadline > 0

    def renew(self, sent_at: float) -> float:
        """Renew by an acknowledged heartbeat sent at `sent_at`; returns the deadline, which only grows."""
        self._deadline = max(self._deadline, sent_at + self._seconds)
        self._renewed.set()
        return self._deadline

    async def wait_valid(self) -> None:
        while not self.valid:
            self._renewed.clear()
            await self._renewed.wait()
