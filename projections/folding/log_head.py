"""The last sequence of the log, confirmed if a reader seems to be ahead of it.

A leader that was just elected or deposed may lack the last events for a moment. Its last sequence is below a
reader's position either for that reason, or because the position is from another log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from domain.identifiers import LogSeq

RETRY_SECONDS = 0.5


async def end_of_log(
    last_seq: Callable[[], Awaitable[LogSeq]],
    position: LogSeq,
    patience: float,
    retry_seconds: float = RETRY_SECONDS,
) -> LogSeq:
    """The result of `last_seq`, retried for `patience` seconds while it is below `position`."""
    deadline = asyncio.get_running_loop().time() + patience
    while (last := await last_seq()) < position:
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(retry_seconds)
    return last
