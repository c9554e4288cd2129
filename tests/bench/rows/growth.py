"""Rows `growth`: what an append and a callback cost behind a long history, against a short one.

Both logs are there at once, each on a server of its own, and take turns request by request, so that
whatever else the machine does hits both. A task's first report finds every cache empty (cold), its
second one finds the task cached.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from domain.protocol import Report
from infra.composition import Core, open_core
from infra.config.settings import Settings
from projections.lock_view import FoldedLockView
from tests.bench.child import in_child
from tests.bench.figures import Row, row
from tests.bench.harness import ControlPlane, Harness
from tests.bench.load.http_client import report_requests, send
from tests.bench.rows.reports import QUEUED, RUNNING
from tests.bench.sizes import Sizes

NAMES = ["growth-append-cached", "growth-append-cold", "growth-callback-cached", "growth-callback-cold"]
TURN_SECONDS = 180.0
Medians = dict[str, tuple[float, float]]
Place = tuple[Settings, ControlPlane, Sequence[str]]
"""Where to measure: settings, API, and tasks that wait for their first report."""


def measure(
    small: Harness, large: Harness, tasks: tuple[Sequence[str], Sequence[str]], sizes: Sizes
) -> list[Row]:
    """The rows; `tasks` of either log wait for their first report: half for appends, half for callbacks."""
    count = sizes.growth_tasks
    with small.control_plane(projector=False) as few, large.control_plane(projector=False) as many:
        places = ((small.settings, few, tasks[0]), (large.settings, many, tasks[1]))
        medians: Medians = in_child("growth", lambda: _measure(places, count), TURN_SECONDS)
    return [row(f"growth-{what}", figure, baseline) for what, (baseline, figure) in medians.items()]


async def _measure(places: tuple[Place, Place], count: int) -> Medians:
    found: Medians = {}
    (small, few, small_tasks), (large, many, large_tasks) = places
    async with open_core(small, "bench-small") as one, open_core(large, "bench-large") as other:
        cores = ((one, small_tasks[:count]), (other, large_tasks[:count]))
        for name, body in (("cold", QUEUED), ("cached", RUNNING)):
            found[f"append-{name}"] = await _appends(cores, Report.model_validate_json(body))
        ports = ((few.port, small_tasks[count:]), (many.port, large_tasks[count:]))
        for name, body in (("cold", QUEUED), ("cached", RUNNING)):
            found[f"callback-{name}"] = await _callbacks(ports, body)
    return found


async def _appends(cores: Sequence[tuple[Core, Sequence[str]]], report: Report) -> tuple[float, float]:
    services = [core.reports(FoldedLockView(core.reader, core.snapshots)) for core, _ in cores]
    taken: tuple[list[float], list[float]] = ([], [])
    for pair in zip(*(ids for _, ids in cores), strict=True):
        for service, task_id, times in zip(services, pair, taken, strict=True):
            started = time.perf_counter()
            await service.report(task_id, report, None, "nats", "runner:bench")
            times.append(time.perf_counter() - started)
    return median(taken[0]) * 1e3, median(taken[1]) * 1e3


async def _callbacks(ports: Sequence[tuple[int, Sequence[str]]], body: bytes) -> tuple[float, float]:
    taken: tuple[list[float], list[float]] = ([], [])
    for pair in zip(*(report_requests(ids, body) for _, ids in ports), strict=True):
        for (port, _), request, times in zip(ports, pair, taken, strict=True):
            answers = await send(port, [request], 1)
            answers.check(200)
            times += answers.taken
    return median(taken[0]) * 1e3, median(taken[1]) * 1e3
