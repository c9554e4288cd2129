"""Rows `output-memory/…` and `output-follow`: what a large output, and many followed ones, cost each part.

Memory: by how much the highest resident memory of each part rises while `towpath logs -f` shows one output,
from when it has shown the first line. Follow: processors of the API while one client follows many tasks.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from infra.cli.client.http import Api
from tests.bench.child import Child, in_child
from tests.bench.figures import Row, row
from tests.bench.harness import POOL, ControlPlane, Harness
from tests.bench.rows.lock_command import ENTRY
from tests.bench.sizes import Sizes
from towpath_client import AsyncClient

PARTS = ("runner", "shim", "api", "nats-server", "client")
NAMES = [*(f"output-memory/{part}" for part in PARTS), "output-follow"]
FIRST = b"begin\n"
MEGABYTE = 1_000_000
READ_BYTES = 1 << 20
LOOK_SECONDS = 0.05
START_SECONDS = 60.0
_RESET_HIGHEST = "5"
_WRITE = "echo begin; until [ -e go ]; do sleep 0.1; done; cat bytes; until [ -e over ]; do sleep 0.1; done"
_LINES = "while [ ! -e over ]; do echo a line; sleep 1; done"


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """All rows."""
    size = sizes.output_megabytes_shown * MEGABYTE
    with harness.control_plane() as plane:
        changes = {"runner_output_bytes": 2 * size, "runner_capacity": sizes.output_tasks + 1}
        with harness.runner(plane, **changes) as runner, Api(f"http://127.0.0.1:{plane.port}", None) as api:
            rises = _memory(harness, plane, runner, api, size)
            cores = _following(harness, plane, api, sizes)
    rows = [row(f"output-memory/{part}", rises[part] / MEGABYTE) for part in PARTS]
    return [*rows, row("output-follow", cores)]


def _memory(harness: Harness, plane: ControlPlane, runner: Child, api: Api, size: int) -> dict[str, float]:
    """How far the memory of each part rises, in bytes."""
    home = harness.settings.data_dir / "shown"
    home.mkdir()
    with (home / "bytes").open("wb") as made:
        made.truncate(size)
    script = f"cd {home}; {_WRITE}"
    task = api.post("/tasks", {"command": ["sh", "-c", script], "pool": POOL}, dispatch="true")
    with _logs(plane.port, task["id"]) as (client, shown):
        _read(shown, len(FIRST))
        shims = [pid for pid in _below(runner.pid) if "runner.process.shim" in _command(pid)]
        of_part = {
            "runner": [runner.pid],
            "shim": shims,
            "api": [plane.pids[0]],
            "nats-server": [harness.nats_pid],
            "client": [client],
        }
        assert shims, "no shim runs below the runner"
        before = {pid: _resident(pid) for pids in of_part.values() for pid in pids}
        (home / "go").touch()
        _read(shown, size)
        rises = {part: max(_highest(pid) - before[pid] for pid in pids) for part, pids in of_part.items()}
        (home / "over").touch()
        assert not _rest(shown)
    return {part: max(rise, 1.0) for part, rise in rises.items()}


def _rest(shown: int) -> bytes:
    """What else comes until the end."""
    return b"".join(iter(lambda: os.read(shown, READ_BYTES), b""))


@contextmanager
def _logs(port: int, task_id: str) -> Iterator[tuple[int, int]]:
    """`towpath logs -f` of a task; its process id, and where its stdout can be read."""
    env = {**os.environ, "TOWPATH_URL": f"http://127.0.0.1:{port}"}
    command = [sys.executable, "-c", ENTRY, "logs", "-f", "--raw", task_id]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.fileno()
        finally:
            process.kill()


def _read(handle: int, size: int) -> None:
    while size:
        chunk = os.read(handle, min(size, READ_BYTES))
        assert chunk, f"{size} bytes are missing"
        size -= len(chunk)


def _following(harness: Harness, plane: ControlPlane, api: Api, sizes: Sizes) -> float:
    """Processors that the API uses while a client follows all tasks, each of which writes a line a second."""
    home = harness.settings.data_dir / "followed"
    home.mkdir()
    body = {"command": ["sh", "-c", f"cd {home}; {_LINES}"], "pool": POOL}
    ids = [str(api.post("/tasks", body, dispatch="true")["id"]) for _ in range(sizes.output_tasks)]
    deadline = time.monotonic() + START_SECONDS
    while not all(api.get(f"/tasks/{one}")["status"] == "running" for one in ids):
        assert time.monotonic() < deadline, "not all tasks run"
        time.sleep(LOOK_SECONDS)
    watching = Child("watch", lambda: _cores(plane.pids[0], sizes.output_follow_seconds))
    work = partial(_follow, plane.port, ids, home / "over", sizes.output_follow_seconds)
    lines: int = in_child("follow", work, START_SECONDS + sizes.output_follow_seconds)
    assert lines >= len(ids), f"{lines} lines of {len(ids)} tasks"
    return float(watching.result(START_SECONDS))


async def _follow(port: int, ids: list[str], over: Path, seconds: float) -> int:
    """Follow all outputs to their end, which comes after `seconds`; the lines of all."""
    async with AsyncClient(f"http://127.0.0.1:{port}") as client:

        async def lines(task_id: str) -> int:
            return sum([data.count(b"\n") async for data in client.output(task_id, follow=True)])

        async def ending() -> None:
            await asyncio.sleep(seconds)
            over.touch()

        _, *found = await asyncio.gather(ending(), *map(lines, ids))
    return sum(found)


def _cores(pid: int, seconds: float) -> float:
    before, started = _ticks(pid), time.monotonic()
    time.sleep(seconds)
    return max(1, _ticks(pid) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - started)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident(pid: int) -> int:
    """Resident bytes now, from which on the highest is kept."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_HIGHEST)
    return _status(pid, "VmRSS")


def _highest(pid: int) -> int:
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no {name}")


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def _below(pid: int) -> list[int]:
    """All descendants."""
    found = [
        int(one) for file in Path(f"/proc/{pid}/task").glob("*/children") for one in file.read_text().split()
    ]
    return found + [child for one in found for child in _below(one)]
