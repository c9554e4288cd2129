"""The queue of reports: nothing lost or taken twice, bounded in what it takes, and ended without loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from structlog.testing import capture_logs

from adapters.nats.client import Kind
from adapters.queues.report_queue import BATCH, DURABLE, JetStreamReportQueue
from domain import subjects
from domain.ports.queues import QueuedReport
from domain.subjects import Stream
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import CONNECT_TIMEOUT_SECONDS, KINDS, Answer, api, connect
from tests.support.waiting import eventually

Handle = Callable[[QueuedReport], Awaitable[float | None]]


@asynccontextmanager
async def consuming(queue: JetStreamReportQueue, handle: Handle) -> AsyncIterator[asyncio.Task[None]]:
    await queue.open()
    task = asyncio.create_task(queue.consume(handle))
    try:
        yield task
    finally:
        await queue.stop()
        await asyncio.wait_for(task, 10)


async def publish(nc: Client, count: int) -> None:
    js = nc.jetstream()
    await asyncio.gather(
        *(
            js.publish(subjects.report(f"task{number}"), b"%d" % number, timeout=CONNECT_TIMEOUT_SECONDS)
            for number in range(count)
        )
    )


async def info(nc: Client) -> Answer:
    return await api(nc, f"CONSUMER.INFO.{Stream.REPORT}.{DURABLE}")


async def left(nc: Client) -> int:
    return int((await api(nc, f"STREAM.INFO.{Stream.REPORT}"))["state"]["messages"])


async def _taken(nc: Client) -> bool:
    return int((await info(nc))["num_ack_pending"]) >= BATCH


async def _none_pending(nc: Client) -> bool:
    return int((await info(nc))["num_ack_pending"]) == 0


async def _none_left(nc: Client) -> bool:
    return await left(nc) == 0


async def test_handlers_begin_in_order_and_two_batches_at_most_are_taken(js_connection: Client) -> None:
    count = 5 * BATCH
    await publish(js_connection, count)
    begun: list[bytes] = []
    gate = asyncio.Event()

    async def handle(report: QueuedReport) -> None:
        begun.append(report.data)
        await gate.wait()

    async with consuming(JetStreamReportQueue(js_connection), handle):
        await eventually(lambda: _taken(js_connection))
        await asyncio.wait({asyncio.create_task(gate.wait())}, timeout=0.5)
        assert 0 < len(begun) <= (await info(js_connection))["num_ack_pending"] <= 2 * BATCH
        gate.set()
        await eventually(lambda: _none_left(js_connection))
    assert begun == [b"%d" % number for number in range(count)]


async def test_a_report_comes_again_when_its_handler_says_and_no_sooner(js_connection: Client) -> None:
    await publish(js_connection, 1)
    came: list[tuple[int, float]] = []

    async def handle(report: QueuedReport) -> float | None:
        came.append((report.deliveries, asyncio.get_running_loop().time()))
        return 0.3 if report.deliveries < 3 else None

    async with consuming(JetStreamReportQueue(js_connection), handle):
        await eventually(lambda: _none_left(js_connection))
    assert [number for number, _ in came] == [1, 2, 3]
    assert came[2][1] - came[0][1] >= 0.6


async def test_a_handler_that_fails_gives_its_room_back_and_gets_its_report_again(
    js_connection: Client,
) -> None:
    await publish(js_connection, 3 * BATCH)
    failed: set[str] = set()

    async def handle(report: QueuedReport) -> None:
        if report.task_id not in failed:
            failed.add(report.task_id)
            raise KeyError(report.task_id)

    with capture_logs() as logs:
        async with consuming(JetStreamReportQueue(js_connection, ack_wait_seconds=0.5), handle):
            await eventually(lambda: _none_left(js_connection), 30)
    assert len(failed) == 3 * BATCH
    assert {one["event"] for one in logs} == {"report not handled, will come again"}


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_stops_while_reports_come_leaves_none_to_wait_for(
    nats_server: EmbeddedNats, js_connection: Client, kind: Kind
) -> None:
    """Else a report would lie for the whole acknowledgement wait after each restart of an API."""
    count = 10 * BATCH
    await publish(js_connection, count)
    taken: list[str] = []

    async def handle(report: QueuedReport) -> None:
        taken.append(report.task_id)
        await asyncio.sleep(0)

    async with await connect(nats_server.control_url, kind) as client:
        for enough in (1, BATCH, 2 * BATCH, 3 * BATCH):
            async with consuming(JetStreamReportQueue(client), handle):
                await eventually(lambda enough=enough: len(taken) >= enough)
            # The server settles acknowledgements in a queue of its own, after it has answered a ping.
            await eventually(lambda: _none_pending(client))
            assert (await info(client))["delivered"]["consumer_seq"] == len(taken)
        async with consuming(JetStreamReportQueue(client), handle):
            await eventually(lambda: _none_left(client))
    assert len(taken) == len(set(taken)) == count


async def test_several_share_the_consumer_that_an_earlier_version_made(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    """Also beside one that is still running: it fetches from the same consumer."""
    js = js_connection.jetstream()
    config = ConsumerConfig(
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=15.0,
        max_deliver=-1,
        max_ack_pending=2000,
    )
    earlier = await js.pull_subscribe(subjects.report(), durable=DURABLE, stream=Stream.REPORT, config=config)
    before = (await info(js_connection))["config"]
    await publish(js_connection, 100)
    taken = [message.data for message in await earlier.fetch(10)]

    async def handle(report: QueuedReport) -> None:
        taken.append(report.data)

    async def only_the_earlier_versions_are_left() -> bool:
        return await left(js_connection) == 10  # which are its own to settle

    async with await connect(nats_server.control_url) as other:
        queues = [JetStreamReportQueue(one) for one in (js_connection, other)]
        async with consuming(queues[0], handle), consuming(queues[1], handle):
            await eventually(lambda: len(taken) == 100)
            assert (await info(js_connection))["config"] == before
        assert len(set(taken)) == 100
        await eventually(only_the_earlier_versions_are_left)
