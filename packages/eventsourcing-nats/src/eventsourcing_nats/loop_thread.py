"""The one place where sync meets async: an event loop in a thread of its own.

The `eventsourcing` library is synchronous, the NATS client is not. A thread that calls a recorder waits here,
with a deadline, for a coroutine that runs in the loop's thread. That thread is a daemon. After a fork it does
not exist in the child process, so calls there are refused instead of waiting for it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

GRACE_SECONDS = 1.0
CANCEL_AGAIN_SECONDS = 0.1
T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]


class LoopGone(Exception):
    """The loop cannot be used: it was closed, it belongs to another process, or the caller is the loop."""


class LoopThread:
    """Runs coroutines for other threads. Any number of threads may call `run` at once."""

    def __init__(self, name: str) -> None:
        self._pid = os.getpid()
        self._closed = False
        self._guard = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name=name, daemon=True)
        self._thread.start()

    def run(self, work: Work[T], timeout: float) -> T:
        """The result of `work()` run in the loop, within `timeout` seconds.

        Raises:
            TimeoutError: not done in time; what it was doing was cancelled.
            LoopGone: the loop is closed (perhaps while waiting), another process' or this very thread's.
        """
        future = self._submit(work, timeout)
        try:
            return future.result(timeout + GRACE_SECONDS)
        except concurrent.futures.CancelledError:
            raise LoopGone("it was closed while a call was waiting") from None
        finally:
            future.cancel()

    def close(self, farewell: Work[None], timeout: float) -> None:
        """Run `farewell`, cancel what still runs, end the thread. Again, or in a forked child: nothing."""
        if os.getpid() != self._pid:
            return
        with self._guard:
            closed, self._closed = self._closed, True
        if closed:
            return

        async def end() -> None:
            try:
                # nats-py's close may end as if it had been cancelled
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await _within(farewell, timeout)
            finally:
                self._loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop)
        if threading.current_thread() is not self._thread:  # the garbage collector may call from anywhere
            self._thread.join(timeout + GRACE_SECONDS)

    def _submit(self, work: Work[T], timeout: float) -> concurrent.futures.Future[T]:
        if os.getpid() != self._pid:
            raise LoopGone(
                "this process was forked after the connection was made: make the application after the fork"
            )
        if threading.current_thread() is self._thread:
            raise LoopGone("its own thread may not wait for it: call from another thread")
        with self._guard:
            if self._closed:
                raise LoopGone("it has been closed: make a new application or factory")
            return asyncio.run_coroutine_threadsafe(_within(work, timeout), self._loop)


async def _within(work: Work[T], timeout: float) -> T:
    async with asyncio.timeout(timeout):
        return await work()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        while left := asyncio.all_tasks(loop):  # again and again: nats-py may lose a cancellation
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS))
    finally:
        loop.close()
