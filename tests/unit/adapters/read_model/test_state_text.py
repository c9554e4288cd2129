"""Large states are written and read in parts, and come back as they were."""

from __future__ import annotations

import asyncio

import orjson
from hypothesis import given
from hypothesis import strategies as st

from adapters.read_model.state_text import PART_BYTES, read, write

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=80),
    max_leaves=100,
)


@given(plain)
async def test_what_was_written_comes_back(value: object) -> None:
    assert await read(await write(value)) == value


async def test_a_large_state_is_written_and_read_in_parts_and_others_run_in_between() -> None:
    claims = [
        {"task_id": f"t{number}", "paths": [f"part{one}" for one in range(256)]} for number in range(800)
    ]
    many = {f"w{number}": {"waiting": [], "last": [1, 2, "3"]} for number in range(5000)}
    state = {"event_id": "e1", "state": {"workspaces": {**many, "acme": {"waiting": claims}}}}
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    text = await write(state)
    parts = len(text) // (2 * PART_BYTES)
    assert turns >= parts > 5
    assert await read(text) == state
    assert turns >= 2 * parts
    beside.cancel()
    longest = max(map(len, text.split("\n")))
    assert longest < 2 * PART_BYTES < len(orjson.dumps(state))
