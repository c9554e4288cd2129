"""Large lock entries are written in parts, and others run in between."""

from __future__ import annotations

import asyncio
import json

from api.lock_entries import PART_STRINGS, entries_json
from domain.lock_read import EntryPicture, lock_entry
from tests.unit.domain.lock_log import SPACE, LockLog, new_table, settle

PATHS = 256
WAITERS = 120


async def test_an_entry_of_very_many_paths_is_written_in_parts_and_others_run_in_between() -> None:
    log, table, turns = LockLog(), new_table(), 0
    for number in range(WAITERS):
        log.dispatched(f"t{number}", "hot", *(f"part{number}/{one}" for one in range(PATHS - 1)))
    settle(log, table)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    (entry,) = await entries_json([EntryPicture(table, SPACE)])
    beside.cancel()
    assert json.loads(entry) == json.loads(lock_entry(table, SPACE).model_dump_json())
    assert turns >= WAITERS * PATHS // PART_STRINGS - 1 > 5


async def test_an_entry_without_claims_has_two_empty_lists() -> None:
    (entry,) = await entries_json([EntryPicture(new_table(), SPACE)])
    assert json.loads(entry) == {"workspace": SPACE, "holders": [], "waiters": []}
