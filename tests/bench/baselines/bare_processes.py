"""The baseline of whole tasks: as many processes of the same command, started by asyncio with nothing around.

asyncio's own loop, since uvloop does not use vfork: 620 processes a second against 250 in one comparison.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence


async def bare_processes(command: Sequence[str], count: int, at_once: int) -> float:
    """Processes a second, `at_once` at the same time."""
    left = iter(range(count))

    async def worker(left: Iterator[int]) -> None:
        for _ in left:
            process = await asyncio.create_subprocess_exec(*command)
            if await process.wait():
                raise RuntimeError(f"{command} failed")

    started = time.perf_counter()
    await asyncio.gather(*(worker(left) for _ in range(at_once)))
    return count / (time.perf_counter() - started)
