"""Rows `tasks`, `task-cpu`, `task-latency` and `shim-memory`: tasks with real processes under `towpath up`.

`tasks`: from the first POST over 16 connections until the last end stands in the log. The yardstick is the
same number of bare processes of the same command, as many at once as the runner takes. `task-cpu` is the
processor time of all parts for one of these tasks, the job's own process included; by part it goes to stderr.
`task-latency`: one task at a time, from its POST to the first byte that the job wrote, in round trips of a
plain append to the same server. `shim-memory`: what an attempt holds while it runs, beside the job's process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from infra.composition import new_id
from tests.bench.baselines.bare_processes import bare_processes
from tests.bench.baselines.raw_publishes import RawAppends, ensure_bench_stream
from tests.bench.child import Child, in_child
from tests.bench.figures import ALWAYS, Row, middle_turn, row
from tests.bench.installation import Installation, up
from tests.bench.load.http_client import request, send
from tests.bench.process_figures import anonymous_bytes, seconds_by_part, tree
from tests.bench.sizes import Sizes

CAPACITY = 8
CONNECTIONS = 16
WARM_TASKS = 16
TURN_SECONDS = 120.0
COMMAND = ["true"]
SLEEPER = "sleep"
END = "succeeded"
SINGLE = ["task-cpu", "task-latency-p50", "task-latency-p99", "shim-memory"]


def names(mode: str) -> list[str]:
    """The rows of one kind of fsync."""
    return [f"tasks/{mode}", *(SINGLE if mode == ALWAYS else [])]


def measure(home: Path, mode: str, sizes: Sizes) -> list[Row]:
    """All rows of one kind of fsync, on one installation."""
    count = sizes.tasks
    bare, ours, processor = list[float](), list[float](), list[float]()
    with up(home, mode, CAPACITY) as installation:
        in_child("warm", lambda: rate(installation, WARM_TASKS), TURN_SECONDS)
        for _ in range(sizes.rounds):
            bare.append(
                Child("bare", lambda: asyncio.run(bare_processes(COMMAND, count, CAPACITY))).result(
                    TURN_SECONDS
                )
            )
            before = seconds_by_part(installation.pid)
            ours.append(in_child("tasks", lambda: rate(installation, count), TURN_SECONDS))
            processor.append(_milliseconds_a_task(before, seconds_by_part(installation.pid), count))
        rows = [row(f"tasks/{mode}", *middle_turn(ours, bare))]
        if mode == ALWAYS:
            rows.append(row("task-cpu", median(processor)))
            rows += _latency(installation, home / "first-bytes", sizes.task_latencies)
            rows.append(row("shim-memory", _attempt_bytes(installation) / 1e6))
    return rows


async def one_by_one(installation: Installation, count: int) -> float:
    """Tasks a second, each posted once the one before has ended."""
    started = time.perf_counter()
    for _ in range(count):
        async with _ended(installation, END, 1) as end:
            await _post(installation, COMMAND, 1, 1)
            await end
    return count / (time.perf_counter() - started)


async def rate(installation: Installation, count: int) -> float:
    """Whole tasks a second, from the first POST to the last end in the log."""
    async with _ended(installation, END, count) as all_ended:
        started = time.perf_counter()
        await _post(installation, COMMAND, count, CONNECTIONS)
        await all_ended
        return count / (time.perf_counter() - started)


async def _post(installation: Installation, command: list[str], count: int, connections: int) -> None:
    bodies = [orjson.dumps({"id": new_id(), "command": command}) for _ in range(count)]
    posts = [request("POST", "/tasks?dispatch=true", body) for body in bodies]
    (await send(installation.port, posts, connections)).check(201, 202)


@asynccontextmanager
async def _ended(installation: Installation, event: str, count: int) -> AsyncIterator[asyncio.Future[None]]:
    """A future that is done once `count` tasks have come to `event`; an end of another kind fails it."""
    connection = await installation.connect("bench-ends")
    try:
        done = asyncio.get_running_loop().create_future()
        seen = set[str]()

        async def heard(message: Msg) -> None:
            _, _, task, name = message.subject.split(".")
            seen.add(task) if name == event else None
            if name in {"failed", "submit-failed"} and not done.done():
                done.set_exception(RuntimeError(f"task {task}: {name} {message.data!r}"))
            if len(seen) == count and not done.done():
                done.set_result(None)

        await connection.subscribe("towpath.task.*.*", cb=heard)
        await connection.flush()
        yield done
    finally:
        await connection.close()


def _milliseconds_a_task(before: dict[str, float], after: dict[str, float], count: int) -> float:
    by_part = {part: (after[part] - before.get(part, 0.0)) * 1e3 / count for part in after}
    shown = ", ".join(f"{part} {taken:.1f}" for part, taken in by_part.items())
    sys.stderr.write(f"          milliseconds of a processor for a task: {shown}\n")
    return sum(by_part.values())


def _latency(installation: Installation, pipe: Path, count: int) -> list[Row]:
    os.mkfifo(pipe)
    trips, taken = in_child("latency", lambda: _first_bytes(installation, pipe, count), TURN_SECONDS)
    trip, cuts = median(trips) * 1e3, quantiles([one * 1e3 for one in taken], n=100, method="inclusive")
    return [row("task-latency-p50", cuts[49], trip), row("task-latency-p99", cuts[98], trip)]


async def _first_bytes(installation: Installation, pipe: Path, count: int) -> tuple[list[float], list[float]]:
    """Seconds of plain appends and, in turn with them, from a POST to the first byte of its job."""
    connection = await installation.connect("bench-probe")
    reading = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    command = ["sh", "-c", f"echo >{pipe}"]
    trips, taken = list[float](), list[float]()
    try:
        await ensure_bench_stream(connection)
        for _ in range(count):
            trips.append(await _round_trip(connection))
            async with _ended(installation, END, 1) as end:
                started = time.perf_counter()
                await _post(installation, command, 1, 1)
                await _readable(reading)
                taken.append(time.perf_counter() - started)
                await end
    finally:
        os.close(reading)
        await connection.close()
    return trips, taken


async def _round_trip(connection: Client) -> float:
    raw = RawAppends(connection)
    started = time.perf_counter()
    await raw.append(new_id())
    return time.perf_counter() - started


async def _readable(descriptor: int) -> None:
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(descriptor)
    os.read(descriptor, 1)


def _attempt_bytes(installation: Installation) -> float:
    """Bytes of one running attempt: how much more all processes hold, without the jobs' own and NATS."""
    before = _held(installation)
    in_child("sleepers", lambda: _sleepers(installation), TURN_SECONDS)
    return (_held(installation) - before) / CAPACITY


def _held(installation: Installation) -> int:
    processes = tree(installation.pid)
    return sum(anonymous_bytes(one.pid) for one in processes if one.name not in {SLEEPER, "nats-server"})


async def _sleepers(installation: Installation) -> None:
    async with _ended(installation, "running", CAPACITY) as all_running:
        await _post(installation, [SLEEPER, "600"], CAPACITY, CONNECTIONS)
        await all_running
    async with asyncio.timeout(TURN_SECONDS):
        while sum(one.name == SLEEPER for one in tree(installation.pid)) < CAPACITY:
            await asyncio.sleep(0.05)
