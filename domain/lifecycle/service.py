"""The start/stop protocol of services, and groups of services.

A service works by itself between `start` and `stop`. What only holds something (a file, a connection, a
consumer) is a resource: the service that uses it opens and closes it. A service is listed after those that
it needs: services start in order and stop in the reverse order, each with a timeout, so that a service can
still use the others while it stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from domain.lifecycle.asyncio_tasks import end_tasks

STOP_SECONDS = 30.0

log = logging.getLogger(__name__)


class Service(Protocol):
    """Works from `start` to `stop`. `stop` may be called twice, and without a `start`."""

    async def start(self) -> None:
        """Return once the service works, or continues to start in the background."""

    async def stop(self) -> None:
        """Return once the service has ended completely."""


class Background:
    """A service that runs a coroutine until it is canceled."""

    def __init__(
        self,
        run: Callable[[], Coroutine[Any, Any, None]],
        *,
        drain: tuple[Callable[[], None], float] | None = None,
        save: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`drain`: asks `run` to end by itself, and its timeout in seconds. `save`: runs afterwards."""
        self._run = run
        self._drain = drain
        self._save = save
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop the coroutine. Raises TimeoutError if it did not drain in time."""
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
    """Several services as one."""

    def __init__(self, *services: Service, stop_seconds: float = STOP_SECONDS) -> None:
        """`stop_seconds`: the timeout for stopping one service."""
        self._services = services
        self._stop_seconds = stop_seconds

    async def start(self) -> None:
        """Start the services in order; raises the first error."""
        for service in self._services:
            await service.start()

    async def until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. A `Background` that fails or ends also ends the wait; raises its error."""
        running = [one.task for one in self._services if isinstance(one, Background) and one.task]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end_tasks([stopped])

    async def stop(self) -> None:
        """Stop the services in the reverse order, despite errors; then raise these."""
        trouble: Exception | None = None
        for service in reversed(self._services):
            try:
                async with asyncio.timeout(self._stop_seconds):
                    await service.stop()
            except Exception as error:
                said = {"service": type(service).__name__, "error": repr(error)}
                log.error("service did not stop well", extra=said)
                trouble = trouble or error
        if trouble is not None:
            raise trouble

    async def run_until(self, stop: asyncio.Event) -> None:
        """Start the services, wait for `stop` or for one that fails, stop them."""
        try:
            await self.start()
            await self.until(stop)
        finally:
            await self.stop()
