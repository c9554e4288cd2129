"""Rows `verify`, `verify-memory`, `time-travel` and `time-travel-near`, on the longest log of the run.

`verify` is the installed command, from its start to its end, with checkpoints and the read model in place;
its memory is what the system says it held at most. `time-travel` asks who held what at the log's end, with no
rung to begin from, so it folds everything; `time-travel-near` asks again a little further back.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.nats.jetstream_api import JetStreamApi
from infra.composition import open_checkpoint_signer, open_core
from infra.config.settings import Settings
from infra.nats.connection import connect
from projections.time_travel import TimeTravel
from tests.bench.child import in_child
from tests.bench.figures import Row, row
from tests.bench.harness import Harness, settled
from tests.bench.load.history import EVENTS_PER_LIFE, History
from tests.bench.rows.replay import raw_callback
from tests.bench.sizes import Sizes
from tests.support.memory_store import MemorySnapshots

TURN_SECONDS = 300.0
NEAR = 1_000
MB = 1e6
NAMES = ("verify", "verify-memory", "time-travel", "time-travel-near")


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """The rows; the log is filled up to `sizes.evidence_events` first."""
    settings = harness.settings
    with harness.control_plane(apis=0):
        in_child("fill", lambda: _fill_up(settings, sizes.evidence_events), 2 * TURN_SECONDS)
    last = in_child("seal", lambda: _seal(settings), TURN_SECONDS)
    raw = in_child("raw", lambda: raw_callback(settings, last, TURN_SECONDS), TURN_SECONDS)
    seconds, held = _verify(settings)
    folded, near = in_child("travel", lambda: _travel(settings, last), TURN_SECONDS)
    return [
        row("verify", last / seconds, raw),
        row("verify-memory", held / MB),
        row("time-travel", last / folded, raw),
        row("time-travel-near", near * 1000),
    ]


async def _fill_up(settings: Settings, events: int) -> None:
    async with open_core(settings, "bench-fill") as core:
        missing = events - await core.reader.last_seq()
        if missing > 0:
            history = History(core.connection, "evidence")
            await history.register()
            await history.lives(-(-missing // EVENTS_PER_LIFE))
        await settled(core, TURN_SECONDS, dispatch=False)


async def _seal(settings: Settings) -> int:
    """Seal what the control plane has not sealed yet; the last sequence."""
    async with open_core(settings, "bench-seal") as core, open_checkpoint_signer(core) as signer:
        while await signer.sign_due():
            pass
        return await core.reader.last_seq()


def _verify(settings: Settings) -> tuple[float, int]:
    """Seconds and bytes at most of one `towpath verify`."""
    password = settings.nats_password.get_secret_value() if settings.nats_password else ""
    given = {
        "TOWPATH_DATA_DIR": str(settings.data_dir),
        "TOWPATH_NATS_URL": settings.nats_url or "",
        "TOWPATH_NATS_USER": settings.nats_user or "",
        "TOWPATH_NATS_PASSWORD": password,
    }
    command = [str(Path(sys.executable).with_name("towpath")), "verify"]
    started = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **given}, stdout=sys.stderr.fileno())
    ended = os.pidfd_open(process.pid)
    try:
        if not select.select([ended], (), (), TURN_SECONDS)[0]:
            raise TimeoutError(f"towpath verify took longer than {TURN_SECONDS:.0f} s")
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        os.close(ended)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"towpath verify ended with {process.returncode}")
    return seconds, usage.ru_maxrss * 1024


async def _travel(settings: Settings, last: int) -> tuple[float, float]:
    """Seconds of a fold of everything, and of a question just before the end afterwards."""
    connection = await connect(settings, "bench-travel")
    try:
        reader = JetStreamLogReader(connection, JetStreamApi(connection))
        travel = TimeTravel(reader, MemorySnapshots())
        started = time.perf_counter()
        await travel.locks(last)
        folded = time.perf_counter() - started
        started = time.perf_counter()
        await travel.locks(last - NEAR)
        return folded, time.perf_counter() - started
    finally:
        await connection.close()
