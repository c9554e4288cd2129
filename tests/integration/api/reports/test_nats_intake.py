"""Reports over NATS on a real server: acknowledged, kept, put back, and never lost by a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from nats.aio.client import Client
from structlog.testing import capture_logs

from adapters.queues.report_queue import DURABLE, JetStreamReportQueue
from api.reports.nats_intake import ReportIntake
from domain.errors import Busy
from domain.subjects import Stream
from tests.integration.api.live_api import LiveApi
from tests.support.nats import api, pulls
from tests.support.waiting import eventually


@pytest.fixture
async def intake(live: LiveApi) -> AsyncIterator[ReportIntake]:
    """A running intake."""
    made = ReportIntake(live.parts, queue(live), live.app.state.metrics)
    await made.start()
    yield made
    await made.stop()


def queue(live: LiveApi) -> JetStreamReportQueue:
    return JetStreamReportQueue(live.core.connection)


async def publish(nc: Client, task_id: str, body: Any, **headers: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    await nc.jetstream().publish(f"towpath.report.{task_id}", data, headers=headers or None)


async def left(nc: Client) -> int:
    """Reports still in the queue."""
    return int((await api(nc, f"STREAM.INFO.{Stream.REPORT}"))["state"]["messages"])


async def settled(nc: Client) -> None:
    """Wait until the queue is empty."""

    async def empty() -> bool:
        return await left(nc) == 0

    await eventually(empty)


async def dead(nc: Client) -> list[str]:
    """Why reports were kept."""
    js = nc.jetstream()
    count = (await api(nc, "STREAM.INFO.TOWPATH_DEAD"))["state"]["messages"]
    found = [await js.get_msg("TOWPATH_DEAD", seq) for seq in range(1, count + 1)]
    return [(one.headers or {})["towpath-reason"] for one in found]


async def test_reports_are_applied_in_order_and_leave_the_queue(live: LiveApi, intake: ReportIntake) -> None:
    nc = live.core.connection
    tasks = [(await live.dispatched())["id"] for _ in range(10)]
    for status in ("queued", "running", "running", "success"):
        for task_id in tasks:
            await publish(nc, task_id, {"status": status, "runner_id": "r1"})
    await settled(nc)
    for task_id in tasks:
        read = (await live.http.get(f"/tasks/{task_id}")).json()
        assert (read["status"], read["version"], read["runner_id"]) == ("succeeded", 5, "r1")
    assert await dead(nc) == []
    metrics = (await live.http.get("/metrics")).text
    assert 'towpath_callbacks_total{outcome="recorded",transport="nats"} 30.0' in metrics
    assert 'towpath_callbacks_total{outcome="stale",transport="nats"} 10.0' in metrics


async def test_a_job_asks_over_nats_once_however_often_it_says_so(
    live: LiveApi, intake: ReportIntake
) -> None:
    nc = live.core.connection
    task_id = (await live.dispatched())["id"]
    question = {"status": "asked", "question_id": "q1", "text": "Go?", "choices": ["yes", "no"]}
    job = {"X-Runner-Token": live.parts.job_tokens.mint(task_id, 1)}
    await publish(nc, task_id, {"status": "running", "runner_id": "r1"})
    await publish(nc, task_id, question, **job)
    await publish(nc, task_id, {**question, "runner_id": "r1"})
    await settled(nc)
    place = f"/tasks/{task_id}/questions/q1"
    assert (await live.http.get(place)).json()["state"] == "open"
    assert (await live.http.post(f"{place}/answer", json={"choice": "no"})).status_code == 200
    await publish(nc, task_id, question)
    await settled(nc)
    read = (await live.http.get(f"/tasks/{task_id}")).json()
    assert (read["question"], read["version"]) == (None, 5)
    assert await dead(nc) == []
    await publish(nc, task_id, {"status": "succeeded"}, **job)
    await publish(nc, task_id, {"status": "asked", "text": "Go?", "choices": ["yes"]})
    await publish(nc, task_id, {**question, "question_id": "q2", "attempt": 7})
    await settled(nc)
    assert sorted(await dead(nc)) == ["invalid-report", "unauthorised", "unknown-attempt"]


async def test_a_deleted_consumer_is_made_again(live: LiveApi, intake: ReportIntake) -> None:
    nc = live.core.connection
    task_id = (await live.dispatched())["id"]
    await nc.jetstream().delete_consumer(Stream.REPORT, DURABLE)
    await publish(nc, task_id, {"status": "running"})
    await settled(nc)
    assert (await live.http.get(f"/tasks/{task_id}")).json()["status"] == "running"
    await eventually(lambda: intake.connected)
    consumer = (await api(nc, f"CONSUMER.INFO.{Stream.REPORT}.{DURABLE}"))["config"]
    assert (consumer["max_ack_pending"], consumer["filter_subject"]) == (2000, "towpath.report.*")


async def test_reports_that_cannot_be_fetched_are_not_ready(live: LiveApi, intake: ReportIntake) -> None:
    assert intake.connected
    await live.core.connection.jetstream().delete_stream(Stream.REPORT)
    await eventually(lambda: not intake.connected)


@pytest.mark.parametrize("name", ["x-runner-token", "X-RUNNER-TOKEN", "X-Runner-Token"])
async def test_header_names_are_read_in_any_case(live: LiveApi, intake: ReportIntake, name: str) -> None:
    nc = live.core.connection
    task_id = (await live.dispatched())["id"]
    await publish(nc, task_id, {"status": "running"}, **{name: "wrong"})
    await settled(nc)
    assert await dead(nc) == ["unauthorised"]
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    token = live.parts.tokens.mint(task_id, 1, 0)
    await publish(nc, task_id, {"status": "running"}, **{name: token, "TraceParent": trace})
    await settled(nc)
    assert (await live.http.get(f"/tasks/{task_id}")).json()["status"] == "running"
    event = await nc.jetstream().get_last_msg("TOWPATH", f"towpath.task.{task_id}.running")
    assert (event.headers or {})["traceparent"] == trace


async def test_bad_neighbours_in_a_batch_are_kept_and_harm_nobody(live: LiveApi) -> None:
    nc = live.core.connection
    task_id = (await live.dispatched())["id"]
    await publish(nc, task_id, b"\xff\xfe", **{"content-type": "text/plain"})
    await publish(nc, task_id, b"{", **{"content-type": "application/json"})
    await publish(nc, "nobody", {"status": "running"})
    await publish(nc, task_id, {"status": "running"}, **{"X-Runner-Token": "wrong"})
    await publish(nc, task_id, {"status": "running", "attempt": 7})
    await publish(nc, task_id, {"status": "running"})
    intake = ReportIntake(live.parts, queue(live))
    await intake.start()
    await settled(nc)
    await intake.stop()
    assert (await live.http.get(f"/tasks/{task_id}")).json()["status"] == "running"
    wanted = ["bad-task-id", "invalid-report", "invalid-report", "unauthorised", "unknown-attempt"]
    assert sorted(await dead(nc)) == wanted


async def test_reports_wait_while_nobody_takes_them_and_stop_may_be_called_twice(live: LiveApi) -> None:
    nc = live.core.connection
    task_id = (await live.dispatched())["id"]
    intake = ReportIntake(live.parts, queue(live))
    asking = asyncio.create_task(pulls(nc, Stream.REPORT, DURABLE, 1))
    await asyncio.sleep(0)
    await intake.start()
    await asking  # so it waits for reports
    with capture_logs() as logs:
        await intake.stop()
        await intake.stop()
        await asyncio.wait(asyncio.all_tasks(), timeout=0.1)
    assert logs == []
    await publish(nc, task_id, {"status": "running"})
    assert await left(nc) == 1
    again = ReportIntake(live.parts, queue(live))
    await again.start()
    await again.start()
    await settled(nc)
    await again.stop()
    assert (await live.http.get(f"/tasks/{task_id}")).json()["status"] == "running"


async def test_a_report_that_cannot_be_recorded_now_comes_again(live: LiveApi) -> None:
    nc = live.core.connection
    task_id = (await live.dispatched())["id"]
    reports, failed = live.parts.reports, asyncio.Event()

    class FirstBusy:
        async def report(self, *given: Any) -> Any:
            if not failed.is_set():
                failed.set()
                raise Busy("busy", "later")
            return await reports.report(*given)

    intake = ReportIntake(replace(live.parts, reports=FirstBusy()), queue(live))
    await intake.start()
    await publish(nc, task_id, {"status": "running"})
    await settled(nc)
    await intake.stop()
    assert failed.is_set()
    assert (await live.http.get(f"/tasks/{task_id}")).json()["status"] == "running"


async def test_the_intake_leaves_the_stream_as_it_was_made(live: LiveApi) -> None:
    nc = live.core.connection
    before = (await api(nc, f"STREAM.INFO.{Stream.REPORT}"))["config"]
    intake = ReportIntake(live.parts, queue(live))
    await intake.start()
    consumer = (await api(nc, f"CONSUMER.INFO.{Stream.REPORT}.{DURABLE}"))["config"]
    await intake.stop()
    assert (await api(nc, f"STREAM.INFO.{Stream.REPORT}"))["config"] == before
    assert (consumer["ack_policy"], consumer["max_deliver"]) == ("explicit", -1)


async def test_single_reports_never_wait_for_a_redelivery(live: LiveApi, intake: ReportIntake) -> None:
    nc = live.core.connection
    for task_id in [(await live.dispatched())["id"] for _ in range(60)]:
        await publish(nc, task_id, {"status": "running"})
        await settled(nc)
    assert (await api(nc, f"CONSUMER.INFO.{Stream.REPORT}.{DURABLE}"))["delivered"]["consumer_seq"] == 60
