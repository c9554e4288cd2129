"""The control plane's parts together: which durable consumers they make, and that a sweep leaves those."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from nats.aio.client import Client
from pydantic import SecretStr

from adapters.nats.consumer_sweep import ConsumerSweep
from adapters.nats.jetstream_api import JetStreamApi
from domain.lifecycle.asyncio_tasks import end_tasks
from domain.subjects import Stream
from infra.config.settings import Settings
from infra.nats.accounts import LOG_CONSUMERS
from infra.nats.consumers import CONSUMERS
from infra.nats.embedded_server import EmbeddedNats
from infra.runtime.http_server import bind
from infra.runtime.processes import serve_api, serve_projector
from tests.support.nats import api, subjects
from tests.support.waiting import eventually


@asynccontextmanager
async def control_plane(server: EmbeddedNats, data_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An API and a projector with all of its projections and process managers; yields a client of the API."""
    data_dir.mkdir()
    settings = Settings(
        data_dir=data_dir,
        nats_url=server.url,
        nats_user=server.control.user,
        nats_password=SecretStr(server.control.password or ""),
        nats_sync_interval="2m",
    )
    listener, stop = bind("127.0.0.1", 0), asyncio.Event()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    parts = [
        asyncio.create_task(serve_api(settings, stop, listener)),
        asyncio.create_task(serve_projector(settings, stop)),
    ]
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield http
        stop.set()
        await asyncio.wait_for(asyncio.gather(*parts), 30)
    finally:
        await end_tasks(parts)


async def durables(connection: Client) -> set[tuple[str, str]]:
    """Stream and name of every durable consumer there is."""
    streams = (await api(connection, "STREAM.NAMES"))["streams"]
    return {
        (stream, one["name"])
        for stream in streams
        for one in await JetStreamApi(connection, stream).consumers()
        if one["config"].get("durable_name")
    }


async def test_every_durable_consumer_of_the_parts_is_listed_and_outlives_a_sweep(
    nats_server: EmbeddedNats, js_connection: Client, tmp_path: Path
) -> None:
    """One that is not in LOG_CONSUMERS would be deleted when idle, and begin again at the log's start."""
    listed = {(str(one.stream), one.name) for one in CONSUMERS}
    async with control_plane(nats_server, tmp_path / "data") as http:

        async def made() -> bool:
            return listed <= await durables(js_connection)

        async def ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await eventually(made, 30)
        await eventually(ready, 30)
        (await http.put("/workspaces/acme", json={"root": "/srv/acme"})).raise_for_status()
        spec = {"command": ["true"], "workspace": "acme", "lock_wait_seconds": 60}
        (await http.post("/tasks?dispatch=true", json=spec)).raise_for_status()
        await eventually(lambda: subjects(js_connection, Stream.SUBMIT), 30)
    assert await durables(js_connection) == listed
    await ConsumerSweep(js_connection, LOG_CONSUMERS, stale_seconds=0.0).sweep()
    assert await durables(js_connection) == listed
