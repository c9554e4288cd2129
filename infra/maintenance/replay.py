"""`towpath replay`: reads the whole log, checks it, and rebuilds the read model.

It proves that everything except the log can be recomputed. Without `--rebuild` it changes nothing: it reads
the log and checks its sequences and versions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from domain.identifiers import LOG_START
from domain.locks.table import LockTable
from domain.ports.log import LogGap, LogReader
from infra.config.settings import Settings
from infra.maintenance.damaged_read_model import move_aside

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReplayResult:
    """Result of a replay: number of events, seconds, and locks held after the last event.

    A rebuild does not count locks: None.
    """

    rebuilt: bool
    events: int
    seconds: float
    locks_held: int | None

    def __str__(self) -> str:
        """The result as text for people."""
        done = "read model rebuilt" if self.rebuilt else f"log is whole; {_locks(self.locks_held)} held"
        speed = self.events / max(self.seconds, 1e-6)
        return f"{done}: {self.events} events in {self.seconds:.1f} s ({speed:.0f} events/s)"

    def as_json(self) -> dict[str, Any]:
        """The result as JSON for programs."""
        return asdict(self)


def _locks(held: int | None) -> str:
    return "1 lock is" if held == 1 else f"{held} locks are"


def run_replay(
    settings: Settings, rebuild: bool, progress: Progress, say: Callable[[str], None] = lambda _: None
) -> ReplayResult:
    """Replay the log. `progress` gets the number of events done and the total.

    Raises:
        LogGap: the log is not contiguous.
    """
    return asyncio.run(_replay(settings, rebuild, progress, say))


async def _replay(
    settings: Settings, rebuild: bool, progress: Progress, say: Callable[[str], None]
) -> ReplayResult:
    from infra.composition import open_core
    from projections.read_model import ReadModelProjection

    if rebuild and (moved := move_aside(settings)) is not None:
        say(f"{moved}; restart what has used it")
    async with open_core(settings, "towpath-replay") as core:
        last = await core.reader.last_seq()
        started = time.monotonic()
        held = None
        if rebuild:
            await ReadModelProjection(core.reader, core.read_model).replay(last, progress)
        else:
            held = await check_log(core.reader, last, progress)
        return ReplayResult(rebuild, last, round(time.monotonic() - started, 3), held)


async def check_log(reader: LogReader, upto: int, progress: Progress) -> int:
    """Read the log up to `upto` and check versions; returns how many locks are held at the end.

    Raises:
        LogGap: a sequence or a version is missing.
    """
    table = LockTable()
    versions: dict[tuple[str, str], int] = {}
    if upto == 0:
        return 0
    async for batch in reader.follow(LOG_START):
        for event in batch:
            table.fold(event)
            key = (event.kind, event.subject_id)
            if event.version != versions.get(key, 0) + 1:
                raise LogGap(f"{event.kind} {event.subject_id} has no version {versions.get(key, 0) + 1}")
            versions[key] = event.version
        progress(min(table.seq, upto), upto)
        if table.seq >= upto:
            break
    return sum(len(table.holders(workspace)) for workspace in table.workspaces())
