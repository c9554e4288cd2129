"""What is announced is shown: the stream of changes beside the lists, on a real log and a real read model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api.queries.as_of import AS_OF
from infra.nats.embedded_server import EmbeddedNats
from tests.integration.api.live_api import LiveApi, live_api

TASKS = 40


async def messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    position = 0
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            position = int(value)
        elif name == "data":
            yield position, json.loads(value)


async def named(live: LiveApi, after: int | None, number: int) -> int:
    """Reads until `number` tasks have been named; each list that is read then shows them. Returns where."""
    headers = {"Last-Event-ID": str(after)} if after is not None else {}
    seen: set[str] = set()
    async with asyncio.timeout(30), live.http.stream("GET", "/changes", headers=headers) as answer:
        assert answer.status_code == 200
        async for position, message in messages(answer.aiter_lines()):
            tasks = {one["id"]: one["seq"] for one in message["tasks"]}
            if tasks:
                listed = await live.http.get("/tasks", params={"id": list(tasks), "limit": 200})
                assert int(listed.headers[AS_OF]) >= position
                rows = {one["id"]: one["seq"] for one in listed.json()["items"]}
                assert rows.keys() == tasks.keys()
            seen |= tasks.keys()
            if len(seen) >= number:
                return position
    raise AssertionError("the stream has ended")


async def test_what_is_named_is_in_the_lists_and_nothing_is_missed(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    async with live_api(nats_server, tmp_path / "data") as live:
        reading = asyncio.create_task(named(live, None, TASKS))
        while not live.app.state.streams.open:
            await asyncio.sleep(0)
        await asyncio.gather(*(live.http.post("/tasks", json={"command": ["true"]}) for _ in range(TASKS)))
        position = await reading
        assert position == TASKS
        await asyncio.gather(*(live.http.post("/tasks", json={"command": ["true"]}) for _ in range(TASKS)))
        assert await named(live, position, TASKS) == 2 * TASKS
        overview = (await live.http.get("/overview")).json()
        assert overview["tasks"]["created"] == 2 * TASKS
