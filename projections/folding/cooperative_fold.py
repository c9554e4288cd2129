"""Cooperative folding: large batches yield to the event loop, large tables are restored in a thread.

A claim may have hundreds of paths and a batch hundreds of claims. Between two parts of a batch, the process
serves its other tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from domain.locks.table import LockTable
from domain.log.record import Recorded

PART_PATHS = 1024
"""Paths that can be folded in a few milliseconds."""
_WITH_PATHS = {"dispatched": "lock_paths", "granted": "paths", "released": "paths", "refused": "paths"}


async def in_parts(batch: Sequence[Recorded]) -> AsyncIterator[Sequence[Recorded]]:
    """The batch in parts of at most PART_PATHS paths, or of one event; yields to other tasks in between."""
    start = paths = 0
    for number, event in enumerate(batch):
        field = _WITH_PATHS.get(event.event)
        own = len(event.data.get(field) or ()) if field is not None else 0
        if paths and paths + own > PART_PATHS:
            yield batch[start:number]
            await asyncio.sleep(0)
            start, paths = number, 0
        paths += own
    yield batch[start:]


def restored(state: dict[str, Any]) -> LockTable:
    """The table of a snapshot with its indexes built; to be run in a thread."""
    table = LockTable.restore(state)
    table.prepare()
    return table
