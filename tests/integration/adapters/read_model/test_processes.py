"""Several real processes on one database file: starting, applying and dying at once."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel
from domain.log.record import Recorded
from domain.ports.read_model import TaskFilter
from tests.contract.adapters.read_model.read_model_lives import Lives
from tests.support.waiting import eventually

APPLY = """
import asyncio, json, sys
from adapters.read_model.store import SqlReadModel
from adapters.read_model.database import create_tables, open_database
from domain.log.record import Recorded

async def main(url, path, size):
    events = [Recorded(**one) for one in json.load(open(path))]
    engine = open_database(url)
    await create_tables(engine)
    model = SqlReadModel(engine)
    for start in range(0, len(events), size):
        await model.apply(events[start : start + size])
    await engine.dispose()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def start(url: str, log: Path, size: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", APPLY, url, str(log), str(size))


def write_log(path: Path, lives: int) -> Lives:
    written = Lives()
    for _ in range(lives):
        written.live(workspace="acme")
    path.write_text(json.dumps([asdict(event) for event in written.events]))
    return written


async def shown(url: str) -> tuple[int, list[object]]:
    engine = open_database(url)
    try:
        model = SqlReadModel(engine)
        return await model.position(), list((await model.find(TaskFilter(), 10_000, None))[0])
    finally:
        await engine.dispose()


async def test_processes_that_start_and_apply_at_once_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'read.db'}"
    lives = write_log(tmp_path / "log.json", 100)
    processes = [await start(url, tmp_path / "log.json", size) for size in (7, 10, 13)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    assert await shown(url) == (len(lives.events), lives.newest_first())


async def test_a_killed_process_leaves_whole_batches_and_the_next_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'read.db'}"
    lives = write_log(tmp_path / "log.json", 300)
    engine = open_database(url)
    await create_tables(engine)
    model = SqlReadModel(engine)
    killed = await start(url, tmp_path / "log.json", 5)
    await eventually(lambda: _moved(model), timeout=30)
    killed.send_signal(signal.SIGKILL)
    assert await killed.wait() == -signal.SIGKILL
    position = await model.position()
    assert 0 < position < len(lives.events)
    assert position % 5 == 0
    again: list[Recorded] = lives.events
    assert await model.apply(again) == len(lives.events)
    await engine.dispose()
    assert await shown(url) == (len(lives.events), lives.newest_first())


async def _moved(model: SqlReadModel) -> bool:
    return await model.position() > 0
