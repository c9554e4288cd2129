"""Very many tasks, and events at a steady rate, appended to the log of a running installation.

Runs on a thread and loop of its own, so that a browser can be watched meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from domain.log.events import CanceledData, CreatedData, EventData
from infra.composition import new_id, now
from tests.bench.load.history import BATCH, History, Line
from tests.support.nats import connect
from tests.support.towpath import Up

TITLES = (
    "compile assets",
    "unit tests",
    "integration tests",
    "nightly crawl",
    "import of orders",
    "lint",
    "release notes",
    "thumbnails",
)
TEAMS = ("web", "api", "data", "ops")
CANCELED = 10
"""Of so many tasks, one was canceled; the others wait to be run."""


class Crowd(History):
    """Writes tasks that no runner ever sees."""

    async def tasks(self, count: int) -> None:
        for first in range(0, count, BATCH):
            lines = [(number, Line("task", new_id())) for number in range(first, min(count, first + BATCH))]
            await self.commit([(line, "created", _created(number)) for number, line in lines])
            canceled = [(line, "canceled", _canceled()) for number, line in lines if number % CANCELED == 0]
            await self.commit(canceled)

    async def steadily(self, rate: int, seconds: float, size: int = 50) -> int:
        """About `rate` events a second; how many there were."""
        begun = time.monotonic()
        written = 0
        while (since := time.monotonic() - begun) < seconds:
            if written > since * rate:
                await asyncio.sleep(size / rate)
                continue
            await self.commit(
                [(Line("task", new_id()), "created", _created(written + one)) for one in range(size)]
            )
            written += size
        return written


def _created(number: int) -> EventData:
    title = f"{TITLES[number % len(TITLES)]} {number}"
    return CreatedData(
        title=title, command=["true"], workspace=None, lock_paths=[], lock_mode="exclusive",
        execution_mode="no-workspace", on_conflict="wait", pool="none", env={}, timeout_seconds=None,
        labels={"team": TEAMS[number % len(TEAMS)]},
    )  # fmt: skip


def _canceled() -> EventData:
    return CanceledData(
        attempt=None,
        by="bench",
        reason=None,
        runner_id=None,
        message=None,
        finished_at=now(),
        output_tail=None,
    )


def _within(up: Up, work: Callable[[Crowd], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        password = (up.data_dir / "nats-password").read_text().strip()
        client = await connect(up.nats_url, user="towpath", password=password)
        try:
            return await work(Crowd(client, "crowd"))
        finally:
            await client.close()

    return asyncio.run(run())


@contextmanager
def meanwhile(up: Up, work: Callable[[Crowd], Coroutine[Any, Any, Any]]) -> Iterator[list[Any]]:
    """Do `work` on a thread; at the end of the context it has ended, and what it returned is in the list."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(_within(up, work))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run, name="crowd")
    thread.start()
    try:
        yield found
    finally:
        thread.join()
    if isinstance(found[0], Exception):
        raise found[0]


def fill(up: Up, count: int) -> None:
    """Write `count` tasks, and wait until the read model has them."""
    for recorder in up.home.recorders:
        recorder.close()  # it would judge each message on a thread of this process
    with meanwhile(up, lambda crowd: crowd.tasks(count)):
        pass
    last = up.get("/log")["last"]["seq"]
    end = time.monotonic() + 300
    while int(httpx.get(f"{up.url}/tasks?limit=1", timeout=60).headers["Towpath-As-Of"]) < last:
        assert time.monotonic() < end, "the read model does not come to the end of the log"
        time.sleep(0.2)
