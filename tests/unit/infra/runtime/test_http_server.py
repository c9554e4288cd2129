"""The end of the HTTP server does not wait for uvicorn's next look at the clock."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.applications import Starlette

from infra.runtime.http_server import bind, serve


async def test_it_ends_where_uvicorn_never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looking = asyncio.Event()

    async def never(_: uvicorn.Server) -> None:
        looking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(uvicorn.Server, "main_loop", never)
    stop, said = asyncio.Event(), list[str]()
    serving = asyncio.create_task(
        serve(Starlette(), bind("127.0.0.1", 0), stop, closing=lambda: said.append("closing"))
    )
    await looking.wait()
    assert not serving.done()

    stop.set()
    await serving
    assert said == ["closing"]
