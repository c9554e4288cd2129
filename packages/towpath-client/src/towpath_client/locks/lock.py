"""`Client.lock`: a lock around a block of a program, renewed by a thread."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from towpath_client.errors import LockLost, TowpathError
from towpath_client.locks import lease
from towpath_client.locks.lease import Holding
from towpath_client.steps import Operation

if TYPE_CHECKING:
    from typing_extensions import Self

Run = Callable[[Operation[Any]], Any]
EXIT_SECONDS = 5.0
DROPPED = "its lock object was dropped, or the program ended, without leaving the block"


class _Renewal:
    """Heartbeats until they are stopped. It knows no Lock, so that one may be garbage."""

    def __init__(self, run: Run, holding: Holding) -> None:
        self._run, self._holding = run, holding
        self._thread = threading.Thread(target=self._renew, name="towpath-lock", daemon=True)
        self.lost = threading.Event()
        self._orders: SimpleQueue[None] = (
            SimpleQueue()
        )  # unlike an Event, it may be used while garbage is collected
        self._dropped = False

    def start(self) -> None:
        """Begin; the first heartbeat is sent once there is a task to list."""
        self._thread.start()

    def _renew(self) -> None:
        holding = self._holding
        ended = False
        while not ended and lease.beats_on(holding):
            pause = self._run(lease.beat(holding))
            if holding.lost is not None:
                self.lost.set()
            ended = self._ended(pause)
            if not holding.look():
                self.lost.set()
        if self._dropped:
            with suppress(TowpathError):
                fields = {"status": "failed", "reason": "error", "message": DROPPED}
                self._run(lease.finish(holding, **fields))
            self._run(lease.goodbye(holding))

    def _ended(self, seconds: float) -> bool:
        with suppress(Empty):
            self._orders.get(timeout=seconds)
            return True
        return False

    def end(self) -> None:
        """No further heartbeat after the present one."""
        self._orders.put(None)
        self._thread.join()

    def drop(self) -> None:
        """The lock object is garbage: the thread gives the lock back."""
        if os.getpid() == self._holding.process:
            self._dropped = True
            self._orders.put(None)

    def drop_at_exit(self) -> None:
        """The interpreter ends inside the block."""
        self.drop()
        if os.getpid() == self._holding.process:
            self._thread.join(EXIT_SECONDS)


class Lock:
    """A lock that is held inside its `with`; it can be used once.

    After `lost` is set, `token`, `check` and the end of the block raise LockLost.
    """

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

    def __enter__(self) -> Self:
        renewal = self._renewal
        self._holding.begin()
        renewal.start()
        self._garbage = weakref.finalize(self, renewal.drop)
        self._garbage.atexit = False
        atexit.register(renewal.drop_at_exit)
        try:
            self._run(lease.acquire(self._holding, self._body))
        except BaseException:
            try:
                with suppress(TowpathError):
                    self._run(lease.withdraw(self._holding))
            finally:
                self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        holding = self._holding
        if os.getpid() != holding.process:
            return
        end = lease.end_of(holding, error)
        try:
            self._run(lease.finish(holding, **end))
        except TowpathError:
            if error is None and holding.lost is None:
                raise
        finally:
            self._leave()
        if error is None and holding.lost is not None:
            raise LockLost(f"the lock was lost: {holding.lost}")

    def _leave(self) -> None:
        self._garbage.detach()
        atexit.unregister(self._renewal.drop_at_exit)
        self._renewal.end()
        self._run(lease.goodbye(self._holding))
