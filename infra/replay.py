"""`towpath replay`: reads the whole log again, checks that it is whole, and rebuilds the read model by it.

Everything but the log can be thrown away; this command is the proof. Without `--rebuild` nothing is
changed: the log is read and its sequences and versions are checked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from domain.locks import LockTable
from domain.ports.log import LogGap, LogReader
from infra.settings import Settings

Progress = Callable[[int, int], None]
Words = Callable[[str], None]


def run_replay(settings: Settings, rebuild: bool, progress: Progress, say: Words) -> None:
    """Replay the log. `progress` gets events done and events in all; `say` gets lines for people.

    Raises:
        LogGap: the log is not contiguous.
    """
    asyncio.run(_replay(settings, rebuild, progress, say))


async def _replay(settings: Settings, rebuild: bool, progress: Progress, say: Words) -> None:
    from infra.composition import open_core
    from projections.tasks import TaskProjection

    async with open_core(settings, "towpath-replay") as core:
        last = await core.reader.last_seq()
        started = time.monotonic()
        if rebuild:
            await TaskProjection(core.reader, core.read_model).replay(last, progress)
            done = "read model rebuilt"
        else:
            held = await check_log(core.reader, last, progress)
            done = f"log is whole; {held} locks are held"
        seconds = max(time.monotonic() - started, 1e-6)
        say(f"{done}: {last} events in {seconds:.1f} s ({last / seconds:.0f} events/s)")


async def check_log(reader: LogReader, upto: int, progress: Progress) -> int:
    """Read the log up to `upto` and check versions; returns how many locks are held at the end.

    Raises:
        LogGap: a sequence or a version is missing.
    """
    table = LockTable()
    versions: dict[tuple[str, str], int] = {}
    if upto == 0:
        return 0
    async for batch in reader.follow(0):
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
