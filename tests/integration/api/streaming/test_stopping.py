"""Who still waits when the API is stopped gets an answer, not a closed connection."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from api.middleware.admission import Admit
from infra.runtime.http_server import bind, serve


class Waits:
    """An application that never answers by itself."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for state in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{state}.complete"})
            return
        self.asked.set()
        await asyncio.Event().wait()


async def test_who_waits_while_the_api_stops_is_told_to_come_again(caplog: pytest.LogCaptureFixture) -> None:
    application, listener, stop = Waits(), bind("127.0.0.1", 0), asyncio.Event()
    serving = asyncio.create_task(
        serve(Admit(application, 2, body_limit=600), listener, stop, graceful_seconds=0)
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as http:
        asking = asyncio.create_task(http.post("/tasks", json={"command": ["true"]}))
        async with asyncio.timeout(10):
            await application.asked.wait()
            stop.set()
            answer = await asking
            await serving
    assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
    assert "send it again" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "1"
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
