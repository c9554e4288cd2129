"""`AsyncClient.lock`: a lock around a block of a program, renewed by a task of the event loop."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from towpath_client.errors import LockLost, TowpathError
from towpath_client.locks import lease
from towpath_client.locks.lease import Holding
from towpath_client.locks.lock import DROPPED
from towpath_client.steps import Operation

if TYPE_CHECKING:
    from typing_extensions import Self

Run = Callable[[Operation[Any]], Coroutine[Any, Any, Any]]


class _Renewal:
    """Heartbeats until they are stopped. It knows no AsyncLock, so that one may be garbage."""

    def __init__(self, run: Run, holding: Holding) -> None:
        self._run, self._holding = run, holding
        self.lost = asyncio.Event()
        self._stop = asyncio.Event()
        self._dropped = False

    def start(self) -> None:
        """Begin, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._renew())

    async def _renew(self) -> None:
        holding = self._holding
        while not self._stop.is_set() and lease.beats_on(holding):
            pause = await self._run(lease.beat(holding))
            if holding.lost is not None:
                self.lost.set()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            if not holding.look():
                self.lost.set()
        if self._dropped:
            with suppress(TowpathError):
                fields = {"status": "failed", "reason": "error", "message": DROPPED}
                await self._run(lease.finish(holding, **fields))
            await self._run(lease.goodbye(holding))

    async def end(self) -> None:
        """No further heartbeat after the present one."""
        self._stop.set()
        await self._task

    def drop(self) -> None:
        """The lock object is garbage: the task gives the lock back, if its loop still runs."""
        if os.getpid() == self._holding.process:
            self._dropped = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)


class AsyncLock:
    """As `Lock`, for `async with`. Work that blocks the event loop blocks the renewal, too."""

    def __init__(self, run: Run, holding: Holding, body: Mapping[str, Any]) -> None:
        self._run, self._holding, self._body = run, holding, body
        self._renewal = _Renewal(run, holding)
        self.lost = self._renewal.lost
        """Set once the lock is no longer valid; wait for it, or look at it between two steps of the work."""

    @property
    def task_id(self) -> str:
        """The task that stands for it in the trail."""
        return self._holding.task_id

    @property
    def token(self) -> int:
        """The fencing token. LockLost once the lock is no longer valid."""
        return self._holding.check()

    def check(self) -> None:
        """Raise LockLost once the lock is no longer valid."""
        self._holding.check()

    async def __aenter__(self) -> Self:
        self._holding.begin()
        self._renewal.start()
        self._garbage = weakref.finalize(self, self._renewal.drop)
        self._garbage.atexit = False
        try:
            await self._run(lease.acquire(self._holding, self._body))
        except BaseException:
            try:
                with suppress(TowpathError):
                    await self._run(lease.withdraw(self._holding))
            finally:
                await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        holding = self._holding
        if os.getpid() != holding.process:
            return
        end = lease.end_of(holding, error)
        try:
            await self._run(lease.finish(holding, **end))
        except TowpathError:
            if error is None and holding.lost is None:
                raise
        finally:
            await self._leave()
        if error is None and holding.lost is not None:
            raise LockLost(f"the lock was lost: {holding.lost}")

    async def _leave(self) -> None:
        self._garbage.detach()
        await self._renewal.end()
        await self._run(lease.goodbye(self._holding))
