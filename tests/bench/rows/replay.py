"""Row `replay`: the log through lock fold and read model, against nats-py's own ordered consumer.

Ours is the path of `towpath replay --rebuild` with the lock fold in its stream. The baseline counts
messages and does nothing with them; of its two ways to read, the faster one counts.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.nats.jetstream_api import JetStreamApi
from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel
from domain.locks.table import LockTable
from domain.log.record import Recorded
from infra.config.settings import Settings
from infra.nats.connection import connect
from projections.read_model import ReadModelProjection
from tests.bench.baselines.raw_publishes import connect_plain
from tests.bench.child import in_child
from tests.bench.figures import Row, middle_turn, row
from tests.bench.harness import Harness
from tests.bench.sizes import Sizes

TURN_SECONDS = 180.0
PENDING_MESSAGES = 65_536
PENDING_BYTES = 64 * 1024 * 1024


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """The row; the log must hold `sizes.replay_events` events."""
    upto, settings = sizes.replay_events, harness.settings
    raw, ours = [], []
    for _ in range(sizes.rounds):
        by_callback = in_child("raw", lambda: raw_callback(settings, upto), TURN_SECONDS)
        ours.append(in_child("replay", lambda: _replay(settings, upto), TURN_SECONDS))
        by_loop = in_child("raw", lambda: _raw_loop(settings, upto), TURN_SECONDS)
        raw.append(max(by_callback, by_loop))
    return [row("replay", *middle_turn(ours, raw))]


async def _subscribe(
    connection: Client, take: Callable[[Msg], Awaitable[None]] | None = None
) -> JetStreamContext.PushSubscription:
    return await connection.jetstream().subscribe(
        "towpath.*.*.*",
        cb=take,
        stream="TOWPATH",
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, mem_storage=True),
        pending_msgs_limit=PENDING_MESSAGES,
        pending_bytes_limit=PENDING_BYTES,
    )


async def raw_callback(settings: Settings, upto: int, timeout: float = TURN_SECONDS) -> float:
    """Messages a second of nats-py's ordered consumer with a callback that counts."""
    connection = await connect_plain(settings, "bench-raw-replay")
    seen, all_seen = 0, asyncio.Event()

    async def take(message: Msg) -> None:
        nonlocal seen
        seen += 1
        if seen == upto:
            all_seen.set()

    started = time.perf_counter()
    await _subscribe(connection, take)
    await asyncio.wait_for(all_seen.wait(), timeout)
    seconds = time.perf_counter() - started
    await connection.close()
    return upto / seconds


async def _raw_loop(settings: Settings, upto: int) -> float:
    connection = await connect_plain(settings, "bench-raw-replay")
    started = time.perf_counter()
    subscription = await _subscribe(connection)
    for _ in range(upto):
        await subscription.next_msg(10)
    seconds = time.perf_counter() - started
    await connection.close()
    return upto / seconds


class _Folding:
    """The reader, with the lock fold in its stream."""

    def __init__(self, reader: JetStreamLogReader) -> None:
        self._reader = reader
        self.table = LockTable()
        self.last_seq, self.last_seq_of = reader.last_seq, reader.last_seq_of
        self.page, self.at, self.seq_at = reader.page, reader.at, reader.seq_at

    async def follow(self, after_seq: int) -> AsyncIterator[Sequence[Recorded]]:
        fold = self.table.fold
        async for batch in self._reader.follow(after_seq):
            for event in batch:
                fold(event)
            yield batch


async def _replay(settings: Settings, upto: int) -> float:
    connection = await connect(settings, "bench-replay")
    home = Path(tempfile.mkdtemp(dir=settings.data_dir))
    engine = open_database(f"sqlite:///{home / 'read-model.db'}")
    try:
        await create_tables(engine)
        folding = _Folding(JetStreamLogReader(connection, JetStreamApi(connection)))
        read_model = SqlReadModel(engine)
        started = time.perf_counter()
        await ReadModelProjection(folding, read_model).replay(upto)
        seconds = time.perf_counter() - started
        if await read_model.position() < upto or folding.table.seq < upto:
            raise RuntimeError("the replay did not reach its end")
    finally:
        await engine.dispose()
        await connection.close()
        shutil.rmtree(home)
    return upto / seconds
