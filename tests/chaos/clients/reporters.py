"""Runners without processes: ids under which our own clients hold attempts, with heartbeats over NATS.

An attempt bound to a runner that does not list it is lost, so each id says what it holds, and its counter
only rises. Half of the attempts go without an id: those are bound to nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator

import nats.errors
import nats.js.errors
from nats.aio.client import Client

IDS = ("reporter-1", "reporter-2")
PUBLISH_SECONDS = 1.0


class Reporters:
    """`run` beats until canceled, every `seconds`."""

    def __init__(self, seed: int, pool: str) -> None:
        self._random = random.Random(seed)
        self._pool = pool
        self._held: dict[str, set[tuple[str, int]]] = {name: set() for name in IDS}
        self.nats: Client | None = None

    @contextlib.asynccontextmanager
    async def holding(self, task: str, attempt: int) -> AsyncIterator[str | None]:
        """Within it, the attempt is listed by the runner whose id this gives; None: by nobody."""
        name = self._random.choice([*IDS, None, None])
        if name is None:
            yield None
            return
        self._held[name].add((task, attempt))
        try:
            yield name
        finally:
            self._held[name].discard((task, attempt))

    async def run(self, seconds: float) -> None:
        while True:
            await asyncio.gather(*(self._beat(name) for name in IDS))
            await asyncio.sleep(seconds)

    async def _beat(self, name: str) -> None:
        held = [{"task_id": task, "attempt": attempt} for task, attempt in self._held[name]]
        body = {
            "runner_id": name,
            "pools": [self._pool],
            "host": "clients",
            "capacity": 100,
            "counter": time.time_ns() // 1_000_000,
            "held": held,
        }
        if self.nats is None:
            return
        with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError):
            await self.nats.jetstream().publish(
                f"towpath.runner.{name}",
                json.dumps(body).encode(),
                stream="TOWPATH_RUNNER",
                timeout=PUBLISH_SECONDS,
            )
