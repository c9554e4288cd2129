"""The API on a real NATS server and SQLite, served by uvicorn on a free port, projections beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from adapters.event_store.appender import SETTLE_SECONDS
from api.app import begin_closing, create_app
from api.dependencies import ApiParts
from infra.composition import Core, api_parts, lock_projection, open_core, open_outputs, read_model_projection
from infra.config.settings import Settings
from infra.nats.embedded_server import EmbeddedNats
from projections.lock_view import FoldedLockView


@dataclass
class LiveApi:
    """Addresses and insides of a running API."""

    http: httpx.AsyncClient
    app: FastAPI
    parts: ApiParts
    core: Core
    closed: asyncio.Task[None]

    async def dispatched(self, **body: Any) -> dict[str, Any]:
        """A new task with its first attempt begun."""
        answer = await self.http.post("/tasks?dispatch=true", json={"command": ["true"], **body})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def report(self, task_id: str, status: str, **body: Any) -> httpx.Response:
        """One callback."""
        return await self.http.post(f"/runner/tasks/{task_id}/status", json={"status": status, **body})


@asynccontextmanager
async def live_api(
    server: EmbeddedNats, data_dir: Path, *, settle_seconds: float = SETTLE_SECONDS, **changes: Any
) -> AsyncIterator[LiveApi]:
    """Everything but dispatch, which would hand the tasks of a test to runners; `changes` are settings."""
    data_dir.mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "data_dir": data_dir,
        "nats_url": server.url,
        "nats_user": server.control.user,
        "nats_password": server.control.password,
        "nats_sync_interval": "2m",
        **changes,
    }
    settings = Settings(**given)

    async def ready() -> dict[str, str]:
        return {"nats": "ok"}

    async with (
        open_core(settings, "test-api", settle_seconds=settle_seconds) as core,
        httpx.AsyncClient() as outgoing,
        open_outputs(settings) as outputs,
    ):
        view = FoldedLockView(core.reader, core.snapshots)
        capacity = core.capacity()
        parts = api_parts(core, view, outgoing, ready, capacity, outputs)
        app = create_app(parts)
        endless = (view.run(), capacity.run(), lock_projection(core).run(), read_model_projection(core).run())
        running = [asyncio.create_task(one) for one in endless]
        uvicorn_server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, ws="none")
        )
        serving = asyncio.create_task(_serve(uvicorn_server))
        async with asyncio.timeout(10):
            while not uvicorn_server.started:
                await asyncio.sleep(0.01)
        port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            yield LiveApi(http, app, parts, core, serving)
        begin_closing(app)
        uvicorn_server.should_exit = True
        await serving
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _serve(server: uvicorn.Server) -> None:
    """Serve without touching the signal handlers of the test process."""
    await server._serve()
