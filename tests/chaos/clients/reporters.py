"""Runners without processes: ids under which our own clients hold attempts, with heartbeats over NATS.

An attempt bound to a runner that does not list it is lost, so each id says what it holds, and its counter
only rises. Half of the attempts go without an id: those are bound to nobody. Some have a runner of their own,
a visitor, that says goodbye once they have ended and never comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import AsyncIterator

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from tests.chaos.history import History

IDS = ("reporter-1", "reporter-2")
PUBLISH_SECONDS = 1.0
VISITS = 0.2
LEAVE_TRIES = 30


class Reporters:
    """`run` beats until canceled, every `seconds`."""

    def __init__(self, seed: int, pool: str, history: History) -> None:
        self._history = history
        self._visitors = itertools.count(1)
        self._counter = 0
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
        visits = self._random.random() < VISITS
        if visits:
            name = f"visitor-{next(self._visitors)}"
            self._held[name] = set()
        self._held[name].add((task, attempt))
        try:
            yield name
        finally:
            self._held[name].discard((task, attempt))
            if visits:
                await self._leave(name)

    async def _leave(self, name: str) -> None:
        """Say goodbye until it is stored, a bounded number of times."""
        del self._held[name]
        for _ in range(LEAVE_TRIES):
            if await self._say(name, leaving=True):
                self._history.note("goodbye", runner=name)
                return
            await asyncio.sleep(PUBLISH_SECONDS)

    async def run(self, seconds: float) -> None:
        while True:
            await asyncio.gather(*(self._say(name) for name in self._held))
            await asyncio.sleep(seconds)

    async def _say(self, name: str, *, leaving: bool = False) -> bool:
        """Send a heartbeat; whether it is known to be stored."""
        self._counter = max(self._counter + 1, time.time_ns() // 1_000_000)
        held = [{"task_id": task, "attempt": attempt} for task, attempt in self._held.get(name, ())]
        body = {
            "runner_id": name,
            "pools": [self._pool],
            "host": "clients",
            "capacity": 100,
            "counter": self._counter,
            "held": held,
            "leaving": leaving,
        }
        if self.nats is None:
            return False
        with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError):
            await self.nats.jetstream().publish(
                f"towpath.runner.{name}",
                json.dumps(body).encode(),
                stream="TOWPATH_RUNNER",
                timeout=PUBLISH_SECONDS,
            )
            return True
        return False
