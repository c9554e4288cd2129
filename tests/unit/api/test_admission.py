"""Requests beyond the bound are answered at once, and none is kept waiting for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from api.admission import Admit
from tests.support.waiting import eventually


class Slow:
    """An application that answers when told to, after it has read the body."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        try:
            await self.open.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        finally:
            self.inside -= 1


@pytest.fixture
def slow() -> Slow:
    return Slow()


def client(slow: Slow, limit: int = 2, seconds: float = 60.0, body_bytes: int = 1000) -> httpx.AsyncClient:
    app = Admit(slow, limit, body_limit=600, seconds=seconds, body_bytes=body_bytes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://towpath")


async def test_beyond_the_bound_the_answer_comes_at_once_and_later_there_is_room(slow: Slow) -> None:
    async with client(slow) as http:
        waiting = [asyncio.create_task(http.get("/tasks")) for _ in range(2)]
        await eventually(lambda: slow.inside == 2)
        refused = await http.get("/tasks")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        slow.open.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200, 200]
        assert (await http.get("/tasks")).status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/events/stream"])
async def test_probes_and_live_streams_do_not_count(slow: Slow, path: str) -> None:
    async with client(slow, limit=1) as http:
        waiting = [asyncio.create_task(http.get("/tasks")), asyncio.create_task(http.get(path))]
        await eventually(lambda: slow.inside == 2)
        slow.open.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200, 200]


async def test_bodies_are_counted_by_their_bytes(slow: Slow) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    async with client(slow, limit=100) as http:
        waiting = [asyncio.create_task(http.post("/tasks", content=b"x" * 500))]
        await eventually(lambda: slow.inside == 1)
        for large in (b"x" * 501, chunks()):  # a body of unknown length counts as the largest
            refused = await http.post("/tasks", content=large)
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        waiting.append(asyncio.create_task(http.post("/tasks", content=b"x" * 500)))
        await eventually(lambda: slow.inside == 2)
        slow.open.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200, 200]


async def test_what_takes_too_long_is_answered_and_forgotten(slow: Slow) -> None:
    async with client(slow, limit=1, seconds=0.05) as http:
        for _ in range(3):
            late = await http.post("/tasks", content=b"x")
            assert (late.status_code, late.json()["code"]) == (503, "too-slow")
            assert "retry-after" in late.headers
            assert slow.inside == 0
