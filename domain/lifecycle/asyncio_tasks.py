"""Cancels asyncio tasks until they have ended.

One `cancel` may be lost: `asyncio.wait_for` of Python 3.11, which nats-py uses, drops it if its awaitable
ends at the same moment, as everything does when a connection breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.5


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel all `tasks`, repeatedly if needed; ignores what they raise."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
        await asyncio.gather(*done, return_exceptions=True)


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait until `event` is set, or for `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
