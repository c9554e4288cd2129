"""Rows `output`: a job's bytes from its write to the client, and how long after its write a line is there.

A real runner, its shim, NATS and the API stand between them, as for `towpath logs -f`. The yardstick is `cat`
of as many bytes, sent by the same HTTP server to the same HTTP client. Row `output-hops` is the
limit: what the bare hops that a range passes (`bare_hops.py`) reach beside the same `cat`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from infra.cli.client.following.output import pieces
from infra.cli.client.http import Api
from infra.runtime.http_server import bind, serve
from tests.bench.baselines.bare_hops import bare_hops
from tests.bench.child import Child, run_loop
from tests.bench.figures import Row, middle_turn, row
from tests.bench.harness import POOL, Harness
from tests.bench.sizes import Sizes

NAMES = ["output", "output-hops", "output-delay"]
MEGABYTE = 1_000_000
PIECE_BYTES = 64 * 1024
GIVE_UP_SECONDS = 60.0
_LINES = """
import sys, time
for _ in range(int(sys.argv[1])):
    print(time.time_ns(), flush=True)
    time.sleep(0.05)
"""


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """All rows."""
    size = sizes.output_megabytes * MEGABYTE
    file = harness.settings.data_dir / "bytes"
    with file.open("wb") as made:
        made.truncate(size)
    with (
        harness.control_plane() as plane,
        harness.runner(plane, runner_output_bytes=2 * size),
        _cat(file) as port,
        bare_hops(harness.settings, file) as hops,
        Api(f"http://127.0.0.1:{plane.port}", None) as api,
    ):
        _seconds(_ours(api, ["true"]), 0)
        _seconds(_bare(hops), size)
        turns = [
            [
                sizes.output_megabytes / seconds
                for seconds in (
                    _cat_seconds(port, size),
                    _seconds(_bare(hops), size),
                    _seconds(_ours(api, ["cat", str(file)]), size),
                )
            ]
            for _ in range(sizes.rounds)
        ]
        delays = _delays(api, sizes.output_lines)
    cat, bare, ours = zip(*turns, strict=True)
    return [
        row("output", *middle_turn(ours, cat)),
        row("output-hops", *middle_turn(bare, cat)),
        row("output-delay", median(delays)),
    ]


def _seconds(output: Iterator[bytes], size: int) -> float:
    started = time.perf_counter()
    found = sum(len(one) for one in output)
    assert found == size, (found, size)
    return time.perf_counter() - started


def _bare(port: int) -> Iterator[bytes]:
    with Api(f"http://127.0.0.1:{port}", None) as api:
        for piece in pieces(api, "any", 1, 0, GIVE_UP_SECONDS):
            yield piece.range.data


def _ours(api: Api, command: list[str]) -> Iterator[bytes]:
    task = api.post("/tasks", {"command": command, "pool": POOL}, dispatch="true")
    for piece in pieces(api, task["id"], None, 0, GIVE_UP_SECONDS):
        yield piece.range.data


def _delays(api: Api, lines: int) -> list[float]:
    """Milliseconds from the write of each line to the client."""
    found = []
    for data in _ours(api, [sys.executable, "-c", _LINES, str(lines)]):
        now = time.time_ns()
        found += [(now - int(line)) / 1e6 for line in data.split()]
    assert len(found) == lines, (len(found), lines)
    return found


def _cat_seconds(port: int, size: int) -> float:
    started = time.perf_counter()
    with httpx.stream("GET", f"http://127.0.0.1:{port}/", trust_env=False, timeout=60) as answer:
        assert sum(len(chunk) for chunk in answer.iter_raw()) == size
    return time.perf_counter() - started


@contextmanager
def _cat(file: Path) -> Iterator[int]:
    """A server of `cat file` in a process of its own; its port."""
    listener = bind("127.0.0.1", 0)
    port: int = listener.getsockname()[1]

    async def cat(_: Request) -> StreamingResponse:
        process = await asyncio.create_subprocess_exec("cat", str(file), stdout=subprocess.PIPE)

        async def chunks() -> AsyncIterator[bytes]:
            assert process.stdout is not None
            while chunk := await process.stdout.read(PIECE_BYTES):
                yield chunk
            await process.wait()

        return StreamingResponse(chunks(), media_type="text/plain")

    async def serving() -> None:
        await serve(Starlette(routes=[Route("/", cat)]), listener, asyncio.Event())

    child = Child("cat", lambda: run_loop(serving))
    try:
        listener.close()
        yield port
    finally:
        child.stop()
