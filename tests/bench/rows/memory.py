"""Row `memory`: what API and projector hold after a hundred thousand tasks went through.

PSS, not RSS: the processes are forked from one and share what they imported. The pages that they share
with the bench, their parent, count as under `towpath up`, whose supervisor is their parent there. The
dispatcher need not have looked at all of the past: its cache is full long before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from infra.composition import new_id, open_core
from infra.config.settings import Settings
from tests.bench.child import in_child
from tests.bench.figures import Row, row
from tests.bench.harness import POOL, ControlPlane, Harness, settled
from tests.bench.load.history import History
from tests.bench.load.http_client import report_requests, request, send
from tests.bench.rows.reports import QUEUED
from tests.bench.sizes import Sizes

TURN_SECONDS = 420.0
PREFIX = "memory"
MB = 1e6


def measure(harness: Harness, known: Sequence[str], lives: int, sizes: Sizes) -> list[Row]:
    """The row: `lives` more lives go through while the control plane follows; `known` tasks are read."""
    with harness.control_plane() as control:
        in_child("fill", lambda: _pass_through(harness.settings, control, known, lives, sizes), TURN_SECONDS)
        each = [_pss(pid) for pid in control.pids]
        shown = ", ".join(f"{one / MB:.0f}" for one in each)
        sys.stderr.write(f"          API, locks, other projections: {shown} MB\n")
        held = sum(each)
    return [row("memory", held / MB)]


async def _pass_through(
    settings: Settings, control: ControlPlane, known: Sequence[str], lives: int, sizes: Sizes
) -> None:
    async with open_core(settings, "bench-memory") as core:
        history = History(core.connection, PREFIX)
        await history.register()
        await history.lives(lives)
        await settled(core, TURN_SECONDS, dispatch=False)
        touched = [request("GET", f"/tasks/{task_id}") for task_id in known[: sizes.memory_touches]]
        (await send(control.port, touched)).check(200)
        ids = [new_id() for _ in range(sizes.memory_touches // 2)]
        bodies = [orjson.dumps({"id": id, "command": ["true"], "pool": POOL}) for id in ids]
        created = await send(control.port, [request("POST", "/tasks?dispatch=true", one) for one in bodies])
        created.check(201, 202)
        (await send(control.port, report_requests(ids, QUEUED))).check(200)
        await settled(core, dispatch=False)


def _pss(pid: int) -> int:
    """Proportional set size in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no Pss of process {pid}")
