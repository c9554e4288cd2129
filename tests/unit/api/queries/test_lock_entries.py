"""Large lock entries are written in parts, and others run in between."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.types import Message

from api.queries.lock_entries import PART_STRINGS, SLICE_BYTES, entries_json, in_slices
from domain.locks.view import EntryPicture, lock_entry
from tests.unit.domain.locks.lock_log import SPACE, LockLog, new_table, settle

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


@pytest.mark.parametrize("size", [0, 10, SLICE_BYTES, SLICE_BYTES + 1, 5 * SLICE_BYTES])
async def test_a_large_body_goes_out_in_slices_and_its_length_is_said_first(size: int) -> None:
    body, sent = b"x" * size, list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.3"}}
    await in_slices(body)(scope, receive, send)
    start, *bodies = sent
    assert dict(start["headers"])[b"content-length"] == str(size).encode()
    assert b"".join(one["body"] for one in bodies) == body
    assert max(len(one["body"]) for one in bodies) <= SLICE_BYTES
