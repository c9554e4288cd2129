"""Lifecycle: the one start/stop protocol of services, and what starts and stops a list of them.

A service is listed behind what it needs: the list is started in order and stopped in the reverse order, each
stop within a bound, so that what is needed to end well is still there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import structlog

from runner.asyncio_tasks import end_tasks

STOP_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Service(Protocol):
    """Works from `start` to `stop`. `stop` may be called twice, and without a `start`."""

    async def start(self) -> None:
        """Return once it works, or goes on in the background with what it needs for that."""

    async def stop(self) -> None:
        """Return once nothing of it goes on."""


class Background:
    """A coroutine that goes on until it is canceled, as a service."""

    def __init__(
        self,
        run: Callable[[], Coroutine[Any, Any, None]],
        *,
        drain: tuple[Callable[[], None], float] | None = None,
        save: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`drain`: what asks `run` to end by itself, and how many seconds it has. `save`: done after it."""
        self._run = run
        self._drain = drain
        self._save = save
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Raises TimeoutError where it did not end in time when asked to."""
        task, self.task = self.task, None
        if task is None:
            return
        try:
            if self._drain is not None and not task.done():
                ask, seconds = self._drain
                ask()
                await asyncio.wait_for(task, seconds)
        finally:
            await end_tasks([task])
            if self._save is not None:
                await self._save()


class Services:
    """Several services, as one."""

    def __init__(self, *services: Service, stop_seconds: float = STOP_SECONDS) -> None:
        """`stop_seconds`: the longest that one of them may take to stop."""
        self._services = services
        self._stop_seconds = stop_seconds

    async def start(self) -> None:
        """Start them in order; the first that cannot start is raised."""
        for service in self._services:
            await service.start()

    async def until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. A `Background` that breaks or ends also ends the wait; what broke it is raised."""
        running = [one.task for one in self._services if isinstance(one, Background) and one.task]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end_tasks([stopped])

    async def stop(self) -> None:
        """Stop them in the reverse order, each whatever became of the others; then raise what went wrong."""
        trouble: Exception | None = None
        for service in reversed(self._services):
            try:
                async with asyncio.timeout(self._stop_seconds):
                    await service.stop()
            except Exception as error:
                log.error("service did not stop well", service=type(service).__name__, error=repr(error))
                trouble = trouble or error
        if trouble is not None:
            raise trouble

    async def run_until(self, stop: asyncio.Event) -> None:
        """Start them, wait for `stop` or for one that breaks, stop them."""
        try:
            await self.start()
            await self.until(stop)
        finally:
            await self.stop()
