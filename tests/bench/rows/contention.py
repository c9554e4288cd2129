"""Rows `contention`: what those who wait in one workspace cost others, at 10, 100 and 1,000 waiters.

Each number of waiters has a server and a lock projector of its own, and the three take turns: a machine
that is faster in one turn than in the next moves all of them. Every waiter claims 256 paths, one of which is
held for good. Meanwhile claims are granted elsewhere (`grant`: the 99th percentile from `dispatched` until a
view has folded the grant), and others take free paths beside those who wait (`decisions`: their grants and
releases a second). The baseline is the same with the fewest waiters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import quantiles

from infra.config.settings import Settings
from tests.bench.child import in_child
from tests.bench.figures import Row, middle_turn, row
from tests.bench.harness import Harness
from tests.bench.rows.lifecycles import Driver, driver, register
from tests.bench.sizes import Sizes

NAMES = (
    "contention-grant-100",
    "contention-grant-1000",
    "contention-decisions-100",
    "contention-decisions-1000",
)
PREFIX = "crowd"
CROWD, *ELSEWHERE = (f"{PREFIX}-{number}" for number in range(3))
DECISIONS_PER_LIFE = 2
WARM_LIVES = 20
AT_ONCE = 16
TURN_SECONDS = 240.0

Turn = tuple[float, float]
"""Milliseconds of a grant elsewhere, and decisions a second beside those who wait."""


def measure(harnesses: Sequence[Harness], sizes: Sizes) -> list[Row]:
    """All rows; one harness for each number of waiters."""
    turns: list[list[Turn]] = []
    with ExitStack() as stack:
        for harness, waiters in zip(harnesses, sizes.waiters, strict=True):
            in_child(
                "register", partial(register, harness.settings, PREFIX, 1 + len(ELSEWHERE)), TURN_SECONDS
            )
            stack.enter_context(harness.control_plane(apis=0))
            crowd = partial(_crowd, harness.settings, waiters, sizes.waiting_paths)
            in_child("crowd", crowd, TURN_SECONDS)
        for _ in range(sizes.rounds):
            turns.append([
                in_child("driver", partial(_turn, harness.settings, sizes.contention_lives), TURN_SECONDS)
                for harness in harnesses
            ])  # fmt: skip
    return [
        row(name, *middle_turn([turn[level][what] for turn in turns], [turn[0][what] for turn in turns]))
        for name, (what, level) in zip(NAMES, ((0, 1), (0, 2), (1, 1), (1, 2)), strict=True)
    ]


async def _crowd(settings: Settings, waiters: int, paths: int) -> None:
    """One holder, and those who wait for it: each wants a part of what it holds, and paths of its own."""
    async with driver(settings) as driving:
        await driving.granted(await driving.claim(CROWD, ["held"]))
        left = iter(range(waiters))

        async def come() -> None:
            for number in left:
                own = (f"part-{number}/module-{one}/main.py" for one in range(paths - 1))
                await driving.claim(CROWD, [f"held/{number}", *own])

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(come())


async def _turn(settings: Settings, lives: int) -> Turn:
    async with driver(settings) as driving:
        await _both(driving, WARM_LIVES)
        waited, decisions = await _both(driving, lives)
        return quantiles([one * 1e3 for one in waited], n=100, method="inclusive")[98], decisions


async def _both(driving: Driver, lives: int) -> tuple[list[float], float]:
    """`lives` elsewhere, and as many in the crowd's workspace as end meanwhile: seconds and decisions/s."""
    waited: list[float] = []
    left = iter(range(lives))
    started = time.perf_counter()
    beside = asyncio.create_task(_beside(driving, iter(range(lives))))
    async with asyncio.TaskGroup() as group:
        for workspace in ELSEWHERE:
            group.create_task(_elsewhere(driving, workspace, left, waited))
    done = await beside
    return waited, done * DECISIONS_PER_LIFE / (time.perf_counter() - started)


async def _elsewhere(driving: Driver, workspace: str, left: Iterator[int], waited: list[float]) -> None:
    for _ in left:
        waited.append(await driving.life(workspace))


async def _beside(driving: Driver, left: Iterator[int]) -> int:
    """Lives on free paths of the crowd's workspace."""
    done = 0
    for _ in left:
        await driving.life(CROWD, paths=["free/a", "free/b"])
        done += 1
    return done
