"""Large batches are folded in parts, and others run in between."""

from __future__ import annotations

import asyncio

from projections.folding.cooperative_fold import PART_PATHS, in_parts
from tests.unit.domain.locks.lock_log import LockLog


async def test_a_batch_is_whole_and_in_order_and_no_part_has_too_many_paths() -> None:
    log, turns = LockLog(), 0
    for number in range(20):
        log.dispatched(f"task{number}", *(f"part{number}/{one}" for one in range(256)))
        log.said(f"task{number}", "canceled")

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    parts = [list(part) async for part in in_parts(log.events)]
    beside.cancel()
    assert [event for part in parts for event in part] == log.events
    sizes = [sum(len(event.data.get("lock_paths", ())) for event in part) for part in parts]
    assert max(sizes) <= PART_PATHS
    assert turns >= len(parts) - 1 >= 4


async def test_one_event_above_the_bound_is_a_part_of_its_own() -> None:
    log = LockLog()
    for number in range(3):
        log.dispatched(f"task{number}", *(f"part{number}/{one}" for one in range(PART_PATHS + 1)))
    assert [len(part) async for part in in_parts(log.events)] == [1, 1, 1]


async def test_small_events_stay_together() -> None:
    log = LockLog()
    for number in range(300):
        log.said(f"task{number}", "running")
    assert [len(part) async for part in in_parts(log.events)] == [300]
