"""The head of the log, confirmed where a reader seems to be ahead of it.

A leader that was just elected, or just deposed, may for a moment not know the last events. What it says is
below a position that somebody holds either for that reason, or because the position is of another log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

RETRY_SECONDS = 0.5


async def end_of_log(
    last_seq: Callable[[], Awaitable[int]],
    position: int,
    patience: float,
    retry_seconds: float = RETRY_SECONDS,
) -> int:
    """What `last_seq` returns; below `position` only if it stays so for `patience` seconds."""
    deadline = asyncio.get_running_loop().time() + patience
    while (last := await last_seq()) < position:
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(retry_seconds)
    return last
