"""Rows `growth-page`, `growth-metrics` and `locks-at`: reads behind a long history, against a short one.

Both logs are there at once, each on a server of its own, and take turns request by request. A page has 50
events: the log's first ones, those of one kind, and those behind its middle. `locks-at` is the longest of
`GET /locks` at positions all over the long log, each asked for once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median

from infra.composition import open_core
from infra.config.settings import Settings
from tests.bench.child import in_child
from tests.bench.figures import Row, row
from tests.bench.harness import Harness, settled
from tests.bench.load.http_client import request, send
from tests.bench.sizes import Sizes

NAMES = ["growth-page", "growth-page-filtered", "growth-page-middle", "growth-metrics", "locks-at"]
TURN_SECONDS = 300.0
POSITIONS = 40
PAGE = "/events?limit=50"
Place = tuple[int, int]
"""An API's port, and the last sequence of its log."""


def measure(small: Harness, large: Harness, sizes: Sizes) -> list[Row]:
    """The rows, once the read models are at the ends of their logs."""
    with small.control_plane() as few, large.control_plane() as many:
        places: list[Place] = [
            (plane.port, in_child("settle", partial(_settle, harness.settings), TURN_SECONDS))
            for plane, harness in ((few, small), (many, large))
        ]
        figures, past = in_child("reads", lambda: _reads(places, sizes.growth_requests), TURN_SECONDS)
    return [*(row(what, *pair) for what, pair in figures.items()), row("locks-at", past)]


async def _settle(settings: Settings) -> int:
    async with open_core(settings, "bench-settle") as core:
        return await settled(core, TURN_SECONDS, dispatch=False)


async def _reads(places: Sequence[Place], count: int) -> tuple[dict[str, tuple[float, float]], float]:
    """Milliseconds behind the long log and behind the short one, and of its locks in the past."""
    figures = {
        "growth-page": await _taken(places, [PAGE, PAGE], count),
        "growth-page-filtered": await _taken(places, [f"{PAGE}&event=succeeded"] * 2, count),
        "growth-page-middle": await _taken(
            places, [f"{PAGE}&after_seq={last // 2}" for _, last in places], count
        ),
        "growth-metrics": await _taken(places, ["/metrics", "/metrics"], count),
    }
    port, last = places[1]
    positions = [1 + last * number // POSITIONS for number in range(1, POSITIONS)]
    past = await send(port, [request("GET", f"/locks?at={seq}") for seq in positions], 1)
    past.check(200)
    return figures, max(past.taken) * 1e3


async def _taken(places: Sequence[Place], paths: Sequence[str], count: int) -> tuple[float, float]:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        for (port, _), path, times in zip(places, paths, taken, strict=True):
            answers = await send(port, [request("GET", path)], 1)
            answers.check(200)
            times += answers.taken
    few, many = (median(times) * 1e3 for times in taken)
    return many, few
