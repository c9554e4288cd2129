"""Rows `handoff`: from an attempt's end to the grant of whoever waits next, under load.

Each workspace has one holder that runs for a while and others in line, so that every end hands over. How
long it runs differs, or all workspaces would hand over at the same moments. Both times are the broker's
own, from the stored messages. The yardstick is a plain append to the same stream under the same load,
made by a process of its own, one at a time: a task that is created and left alone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from statistics import median, quantiles

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from adapters.event_store.codec import decode, encode
from domain.log.record import Recorded
from infra.composition import new_id, now
from infra.config.settings import Settings
from infra.nats.connection import connect
from tests.bench.child import Child, in_child, run_loop
from tests.bench.figures import Row, row
from tests.bench.harness import Harness
from tests.bench.load.history import created_data
from tests.bench.rows.lifecycles import Driver, driver, register
from tests.bench.sizes import Sizes

PREFIX = "line"
WORKSPACES = 32
IN_LINE = 3
RUNS_SECONDS = (0.02, 0.18)
SEED = 1
RAMP_SECONDS = 1.0
PROBE_EVERY_SECONDS = 0.01
TURN_SECONDS = 120.0
_NANO = 1e-9


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """Both rows for one kind of fsync."""
    mode, seconds = harness.mode, sizes.handoff_seconds
    in_child("register", lambda: register(harness.settings, PREFIX, WORKSPACES), TURN_SECONDS)
    with harness.control_plane(apis=0):
        probe = Child(
            "probe",
            lambda: run_loop(
                lambda: _round_trips(harness.settings, 2 * RAMP_SECONDS, seconds - 2 * RAMP_SECONDS)
            ),
        )
        try:
            start = in_child("driver", lambda: _load(harness.settings, seconds), TURN_SECONDS)
            trips = probe.result(TURN_SECONDS)
        finally:
            probe.stop()
    taken = in_child("reader", lambda: _handoffs(harness.settings, start), TURN_SECONDS)
    trip = median(trips) * 1e3
    cuts = quantiles([one * 1e3 for one in taken], n=100, method="inclusive")
    return [
        row(f"handoff-p50/{mode}", cuts[49], trip),
        row(f"handoff-p99/{mode}", cuts[98], trip),
    ]


async def _load(settings: Settings, seconds: float) -> int:
    """Keep lives coming for `seconds`; the log's last sequence before."""
    async with driver(settings) as driving:
        start = await driving.core.reader.last_seq()
        end, chance = time.perf_counter() + seconds, Random(SEED)
        async with asyncio.TaskGroup() as group:
            for number in range(WORKSPACES * IN_LINE):
                group.create_task(_in_line(driving, f"{PREFIX}-{number % WORKSPACES}", end, chance))
        return start


async def _in_line(driving: Driver, workspace: str, end: float, chance: Random) -> None:
    while time.perf_counter() < end:
        await driving.life(workspace, chance.uniform(*RUNS_SECONDS))


async def _round_trips(settings: Settings, after: float, seconds: float) -> list[float]:
    """Seconds of single plain appends, one at a time, for `seconds` from `after` seconds on."""
    connection = await connect(settings, "bench-probe")
    try:
        jetstream, taken = connection.jetstream(), list[float]()
        await asyncio.sleep(after)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            message = encode(
                "task", new_id(), "created", created_data(None),
                id=new_id(), version=1, at=now(), actor="bench", expected_seq=0,
            )  # fmt: skip
            started = time.perf_counter()
            await jetstream.publish(message.append_subject, message.data, headers=message.headers)
            taken.append(time.perf_counter() - started)
            await asyncio.sleep(PROBE_EVERY_SECONDS)
        return taken
    finally:
        await connection.close()


@dataclass(slots=True)
class _Handoffs:
    """Finds pairs of end and next grant in the log."""

    ended: dict[str, int] = field(default_factory=dict)
    dispatched: dict[str, int] = field(default_factory=dict)
    released: dict[str, int] = field(default_factory=dict)
    taken: list[tuple[int, float]] = field(default_factory=list)

    def fold(self, event: Recorded, stored: int) -> None:
        """Take one event; `stored` is when the broker stored it, in nanoseconds."""
        if event.event == "succeeded":
            self.ended[event.subject_id] = stored
        elif event.event == "dispatched":
            self.dispatched[event.subject_id] = stored
        elif event.event == "released":
            self.released[event.subject_id] = self.ended[event.data["task_id"]]
        elif event.event == "granted":
            ended = self.released.pop(event.subject_id, None)
            if ended is not None and self.dispatched[event.data["task_id"]] < ended:
                self.taken.append((stored, (stored - ended) * _NANO))


async def _handoffs(settings: Settings, after_seq: int) -> list[float]:
    """Seconds of all handoffs behind `after_seq`, without those of the first RAMP_SECONDS."""
    connection = await connect(settings, "bench-handoffs")
    found = _Handoffs()
    stored_first = 0
    subscription = await connection.jetstream().subscribe(
        "towpath.*.*.*",
        stream="TOWPATH",
        ordered_consumer=True,
        config=ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after_seq + 1,
            ack_policy=AckPolicy.NONE,
        ),
    )
    try:
        pending = 1
        while pending:
            message: Msg = await subscription.next_msg(10)
            tokens = message.reply.split(".")
            seq, stored, pending = int(tokens[5]), int(tokens[7]), int(tokens[8])
            stored_first = stored_first or stored
            found.fold(decode(seq, message.subject, message.headers or {}, message.data), stored)
    finally:
        await connection.close()
    return [taken for at, taken in found.taken if (at - stored_first) * _NANO > RAMP_SECONDS]
