"""Cancels asyncio tasks until they have ended, or lets one end first.

One `cancel` may be lost: `asyncio.wait_for` of Python 3.11, which nats-py uses, drops it if its awaitable
ends at the same moment, as everything does when a connection breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

AGAIN_SECONDS = 0.5
Params = ParamSpec("Params")
Answer = TypeVar("Answer")


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


def uncut(work: Callable[Params, Awaitable[Answer]]) -> Callable[Params, Coroutine[Any, Any, Answer]]:
    """Make `work`, which must be bounded in time, run to its end; a cancellation takes effect after it."""

    @wraps(work)
    async def whole(*args: Params.args, **kwargs: Params.kwargs) -> Answer:
        task = asyncio.ensure_future(work(*args, **kwargs))
        canceled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                canceled = error
        if canceled is not None:
            await asyncio.gather(task, return_exceptions=True)
            raise canceled
        return task.result()

    return whole
