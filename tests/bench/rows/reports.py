"""Rows `http-reports`, `nats-reports` and `nats-reports-two`: what the control plane takes in a second.

Every report is a real transition of a task of its own: `queued` over HTTP, later `running` over NATS.
All processes run as under `towpath up`. Both count only what stands in the log: HTTP until the last
answer, NATS until the last event. In the third row two API processes share the queue of reports.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import orjson

from infra.composition import Core, new_id, open_core
from infra.config.settings import Settings
from tests.bench.baselines.bare_route import bare_route
from tests.bench.baselines.raw_publishes import IN_FLIGHT, pipelined
from tests.bench.child import in_child
from tests.bench.figures import ALWAYS, Row, middle_turn, row
from tests.bench.harness import POOL, ControlPlane, Harness, settled
from tests.bench.load.http_client import CONNECTIONS, report_requests, request, send
from tests.bench.sizes import Sizes

TURN_SECONDS = 180.0
POLL_SECONDS = 0.005
QUEUED = b'{"status":"queued","attempt":1,"runner_id":"bench"}'
RUNNING = b'{"status":"running","attempt":1,"runner_id":"bench","pid":4242}'


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """Both rows for one kind of fsync."""
    mode, settings, count = harness.mode, harness.settings, sizes.reports(harness.mode)
    bare, raw, http, nats, two = [], [], [], [], []
    for _ in range(sizes.rounds):
        raw.append(in_child("raw", partial(pipelined, settings, sizes.appends(mode)), TURN_SECONDS))
        with bare_route(settings) as port:
            bare.append(in_child("client", partial(_bare, port, count), TURN_SECONDS))
        with harness.control_plane() as control:
            rates = in_child("client", partial(_ours, settings, control, count), TURN_SECONDS)
        http.append(rates[0])
        nats.append(rates[1])
        if mode == ALWAYS:
            with harness.control_plane(apis=2) as control:
                rates = in_child("client", partial(_ours, settings, control, count), TURN_SECONDS)
            two.append(rates[1])
    rows = {"http-reports": (http, bare), "nats-reports": (nats, raw), "nats-reports-two": (two, raw)}
    return [row(f"{what}/{mode}", *middle_turn(*figures)) for what, figures in rows.items() if all(figures)]


def names(mode: str) -> list[str]:
    """The rows of one kind of fsync."""
    both = [f"http-reports/{mode}", f"nats-reports/{mode}"]
    return [*both, f"nats-reports-two/{mode}"] if mode == ALWAYS else both


async def _bare(port: int, count: int) -> float:
    """Answers a second of the bare route."""
    warm = [new_id() for _ in range(CONNECTIONS)]
    (await send(port, report_requests(warm, QUEUED))).check(200)
    answers = await send(port, report_requests([new_id() for _ in range(count)], QUEUED))
    answers.check(200)
    return count / answers.seconds


async def _ours(settings: Settings, control: ControlPlane, count: int) -> tuple[float, float]:
    """Reports a second over HTTP and over NATS."""
    async with open_core(settings, "bench-reports") as core:
        ids = [new_id() for _ in range(count)]
        body = [orjson.dumps({"id": id, "command": ["true"], "pool": POOL}) for id in ids]
        created = await send(control.port, [request("POST", "/tasks?dispatch=true", one) for one in body])
        created.check(201, 202)
        before = await settled(core)
        answers = await send(control.port, report_requests(ids, QUEUED))
        answers.check(200)
        after = await settled(core)
        if after - before != count:
            raise RuntimeError(f"{count} reports over HTTP made {after - before} events")
        return count / answers.seconds, count / await _over_nats(core, ids)


async def _over_nats(core: Core, task_ids: Sequence[str]) -> float:
    """Seconds from the first publish of a report to the last event in the log."""
    jetstream, ids = core.connection.jetstream(), iter(task_ids)
    target = await core.reader.last_seq() + len(task_ids)

    async def worker() -> None:
        for task_id in ids:
            await jetstream.publish(f"towpath.report.{task_id}", RUNNING)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    async with asyncio.timeout(TURN_SECONDS):
        while True:
            last = await core.reader.last_seq()
            if last >= target:
                break
            await asyncio.sleep(POLL_SECONDS)
    if last != target:
        raise RuntimeError(f"{len(task_ids)} reports over NATS made {len(task_ids) + last - target} events")
    return time.perf_counter() - started
