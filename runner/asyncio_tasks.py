"""Cancels asyncio tasks until they have ended.

One `cancel` may be lost: `asyncio.wait_for` of Python 3.11, which nats-py waits with, drops it when what
it waits for ends in the same moment, as everything does when a connection breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.5


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel all `tasks`, as often as it takes; what they raised is taken as said."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
        await asyncio.gather(*done, return_exceptions=True)


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Until `event` is set, or `seconds` have passed."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
