"""The baseline of output: the bare hops that a range passes, without a job, a shim, a log or a check.

One process answers requests over core NATS with ranges of a file, another serves them over HTTP. They use the
clients and servers that the product uses and do nothing else: what is between them and ours is our own work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from nats.aio.msg import Msg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.nats.request_reply import replies_of
from domain.runners.output_range import ATTEMPT, OutputRange
from infra.config.settings import Settings
from infra.nats.connection import connect
from infra.runtime.http_server import bind, serve
from tests.bench.baselines.raw_publishes import connect_plain
from tests.bench.child import Child, run_loop

SUBJECT = "bench.range"
ANSWER_SECONDS = 10.0


async def _answer(settings: Settings, file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    connection = await connect_plain(settings, "bench-ranges")

    async def asked(message: Msg) -> None:
        wanted = json.loads(message.data)
        await message.respond(os.pread(handle, wanted["limit"], wanted["offset"]))

    await connection.subscribe(SUBJECT, cb=asked)
    await asyncio.Event().wait()


async def _serve(settings: Settings, listener: socket.socket, size: int) -> None:
    replies = replies_of(await connect(settings, "bench-hops"))

    async def output(request: Request) -> Response:
        offset, limit = (int(request.query_params[name]) for name in ("offset", "limit"))
        wanted = json.dumps({"offset": offset, "limit": limit}).encode()
        data = (await replies.ask(SUBJECT, wanted, ANSWER_SECONDS)).data
        headers = OutputRange(data, offset, size, complete=True).headers()
        return Response(data, headers={**headers, ATTEMPT: "1"}, media_type="text/plain")

    await serve(Starlette(routes=[Route("/tasks/{id}/output", output)]), listener, asyncio.Event())


@contextlib.contextmanager
def bare_hops(settings: Settings, file: Path) -> Iterator[int]:
    """Both processes; the port where `GET /tasks/{id}/output` answers with ranges of `file`."""
    listener = bind("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    size = file.stat().st_size
    children = [
        Child("ranges", lambda: run_loop(lambda: _answer(settings, file))),
        Child("hops", lambda: run_loop(lambda: _serve(settings, listener, size))),
    ]
    try:
        listener.close()
        yield port
    finally:
        for child in children:
            child.stop()
