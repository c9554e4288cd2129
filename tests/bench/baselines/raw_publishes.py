"""The baseline of most rows: plain publishes to a stream with the log's settings, and nothing around them.

Same headers and data as an event of the log, without the compare-and-set; a message id of its own each,
as an event has. What this does in a second is what the broker and its Python client can give.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from adapters.event_store.codec import MSG_ID, encode
from domain.log.events import EventData, QueuedData, RunningData
from infra.composition import new_id, now
from infra.config.settings import Settings
from infra.nats.connection import connect_options
from infra.nats.stream_definitions import stream_definitions

STREAM = "BENCH"
IN_FLIGHT = 64


class RawAppends:
    """Publishes copies of one event, each about another task."""

    def __init__(self, connection: Client, event: str = "running") -> None:
        self._js: JetStreamContext = connection.jetstream()
        self._event = event
        sample = encode(
            "task", new_id(), event, _DATA[event](),
            id=new_id(), version=3, at=now(), actor="runner:bench", expected_seq=0,
        )  # fmt: skip
        self._headers, self._data = sample.headers, sample.data

    async def append(self, task_id: str) -> int:
        """One publish; its sequence."""
        message_id = new_id()
        headers = {**self._headers, "ce-id": message_id, "ce-subject": task_id, MSG_ID: message_id}
        subject = f"bench.append.task.{task_id}.{self._event}"
        return (await self._js.publish(subject, self._data, headers=headers)).seq


def _queued() -> EventData:
    return QueuedData(attempt=1, runner_id="bench", transport="http")


def _running() -> EventData:
    return RunningData(attempt=1, runner_id="bench", started_at=now(), pid=4242)


_DATA = {"queued": _queued, "running": _running}


async def ensure_bench_stream(connection: Client) -> None:
    """A stream like TOWPATH on subjects of its own; there already: as it is."""
    config = stream_definitions()[0].config()
    stored = "bench.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"
    config |= {
        "name": STREAM,
        "subjects": ["bench.append.*.*.*"],
        "subject_transform": {"src": "bench.append.*.*.*", "dest": stored},
        "republish": {"src": "bench.*.*.*", "dest": stored},
    }
    answer = await connection.request(
        f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(config).encode(), timeout=10
    )
    if error := json.loads(answer.data).get("error"):
        raise RuntimeError(f"the stream of the baseline could not be made: {error}")


async def connect_plain(settings: Settings, name: str) -> Client:
    """A baseline's connection: nats-py as it comes."""
    return await nats.connect(**connect_options(settings), name=name)


async def pipelined(settings: Settings, count: int) -> float:
    """Raw appends a second with IN_FLIGHT in flight."""
    connection = await connect_plain(settings, "bench-raw")
    try:
        await ensure_bench_stream(connection)
        raw = RawAppends(connection)
        ids = iter([new_id() for _ in range(count)])

        async def worker(ids: Iterator[str]) -> None:
            for task_id in ids:
                await raw.append(task_id)

        started = time.perf_counter()
        await asyncio.gather(*(worker(ids) for _ in range(IN_FLIGHT)))
        return count / (time.perf_counter() - started)
    finally:
        await connection.close()
