"""The thread in which a connection's event loop runs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from eventsourcing_nats.loop_thread import LoopGone, LoopThread


def test_the_loop_refuses_to_wait_for_itself_and_cancels_what_is_late() -> None:
    thread = LoopThread("test-loop")
    cancelled = threading.Event()

    async def waits_for_itself() -> None:
        thread.run(late, 1)

    async def late() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    async def nothing() -> None:
        pass

    with pytest.raises(LoopGone, match="own thread"):
        thread.run(waits_for_itself, 5)
    with pytest.raises(TimeoutError):
        thread.run(late, 0.05)
    assert cancelled.wait(5)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(thread.run, late, 60)
        cancelled.clear()
        thread.run(nothing, 5)
        thread.close(nothing, 5)
        with pytest.raises(LoopGone, match="closed"):
            waiting.result(10)
    with pytest.raises(LoopGone, match="closed"):
        thread.run(nothing, 5)


def test_the_loop_ends_also_where_a_cancellation_gets_lost() -> None:
    """As in nats-py: its reconnection may lose one, and its `close` may end as if it had been cancelled."""
    thread = LoopThread("test-loop")
    running = set[asyncio.Task[None]]()

    async def loses_a_cancellation() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    async def start() -> None:
        running.add(asyncio.create_task(loses_a_cancellation()))
        await asyncio.sleep(0)

    async def farewell() -> None:
        raise asyncio.CancelledError

    thread.run(start, 5)
    (served,) = [one for one in threading.enumerate() if one.name == "test-loop"]
    thread.close(farewell, 5)
    served.join(20)
    assert not served.is_alive()
