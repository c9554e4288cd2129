"""The baseline of the callback route: FastAPI, one publish, a small JSON, served like ours.

It checks the same body and stores the same bytes, but decides nothing, expects nothing and remembers
nothing: what is between it and ours is what event sourcing costs.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from domain.protocol import Report
from infra.config.settings import Settings
from infra.runtime.http_server import bind
from tests.bench.baselines.raw_publishes import RawAppends, connect_plain, ensure_bench_stream
from tests.bench.child import Child, run_loop


async def _serve(settings: Settings, listener: socket.socket) -> None:
    connection = await connect_plain(settings, "bench-bare-route")
    try:
        await ensure_bench_stream(connection)
        raw = RawAppends(connection, "queued")
        app = FastAPI()

        @app.post("/runner/tasks/{task_id}/status")
        async def report(task_id: str, body: Report) -> dict[str, int]:
            return {"seq": await raw.append(task_id)}

        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", http="httptools", ws="none"
        )
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await connection.close()


@contextlib.contextmanager
def bare_route(settings: Settings) -> Iterator[int]:
    """The route in a process of its own; its port."""
    listener = bind("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    child = Child("bare-route", lambda: run_loop(lambda: _serve(settings, listener)))
    try:
        listener.close()
        yield port
    finally:
        child.stop()
