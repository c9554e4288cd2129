"""NATS is gone: every route answers, with 503 where it needs it, and all goes on when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from structlog.testing import capture_logs

from adapters.nats.jetstream_api import JetStreamApi
from adapters.nats.pull_consumer import PullTiming
from adapters.queues.durable_consumer import ConsumerTiming
from adapters.queues.report_queue import DURABLE, JetStreamReportQueue
from api.reports.nats_intake import ReportIntake
from domain.errors import Busy
from infra.nats.embedded_server import EmbeddedNats
from tests.integration.api.live_api import live_api
from tests.support.waiting import eventually

RUNNING = b'{"status": "running"}'
BEAT = {"runner_id": "r1", "pools": ["default"], "host": "h", "capacity": 1, "counter": 1, "held": []}


async def test_every_route_answers(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    async with live_api(nats_server, tmp_path / "data", settle_seconds=1.0) as live:
        assert (await live.http.put("/workspaces/acme", json={"root": "/srv/acme"})).status_code == 201
        task_id = (await live.dispatched(workspace="acme"))["id"]
        nats_server.stop()
        requests: list[tuple[str, str, Any]] = [
            ("GET", f"/tasks/{task_id}", None),
            ("GET", f"/tasks/{task_id}/events", None),
            ("GET", "/events", None),
            ("GET", "/events?workspace=acme", None),
            ("GET", "/events/stream", None),
            ("GET", "/runners", None),
            ("POST", "/tasks", {"command": ["true"]}),
            ("POST", "/tasks", {"command": ["true"], "workspace": "acme"}),
            ("POST", f"/tasks/{task_id}/dispatch", None),
            ("POST", f"/tasks/{task_id}/cancel", None),
            ("POST", f"/tasks/{task_id}/locks/release", {"reason": "stuck"}),
            ("POST", f"/runner/tasks/{task_id}/status", {"status": "running"}),
            ("POST", "/runner/heartbeat", BEAT),
            ("PUT", "/workspaces/other", {"root": "/srv/other"}),
        ]
        live.http.timeout = 40
        for method, path, body in requests:
            answer = await live.http.request(method, path, json=body)
            assert answer.status_code == 503, (method, path, answer.status_code, answer.text)
            assert answer.headers["retry-after"], path
        for path in ("/livez", "/metrics", "/tasks", "/locks", "/workspaces", "/overview"):
            assert (await live.http.get(path)).status_code == 200, path
        nats_server.start()

        async def works() -> bool:
            return (await live.http.post("/tasks", json={"command": ["true"]})).status_code == 201

        await eventually(works, timeout=30)


async def test_the_report_intake_waits_for_nats_without_spinning(
    nats_server: EmbeddedNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing = ConsumerTiming(
        reopen_seconds=0.05, pull=PullTiming(request_seconds=2.0, heartbeat_seconds=0.1, silent_seconds=0.5)
    )
    async with live_api(nats_server, tmp_path / "data") as live:
        task_id = (await live.dispatched())["id"]
        intake = ReportIntake(live.parts, JetStreamReportQueue(live.core.connection, timing=timing))
        await intake.start()
        asked = []
        make = JetStreamApi.make_consumer

        async def counted(self: JetStreamApi, name: str, config: dict[str, Any]) -> int:
            asked.append(name)
            return await make(self, name, config)

        monkeypatch.setattr(JetStreamApi, "make_consumer", counted)
        nats_server.stop()
        with capture_logs() as logs:
            await eventually(lambda: asked.count(DURABLE) > 3, timeout=30)
        said = [one["queue"] for one in logs if one["event"].startswith("queue not reachable")]
        assert said == [DURABLE], "an outage is said once, not with each try"
        assert not intake.connected
        nats_server.start()

        async def back() -> bool:
            report = live.core.connection.jetstream().publish(f"towpath.report.{task_id}", RUNNING)
            with contextlib.suppress(nats.errors.Error):
                await report
            answer = await live.http.get(f"/tasks/{task_id}")
            return answer.status_code == 200 and answer.json()["status"] == "running"

        await eventually(back, timeout=30)
        await intake.stop()


@pytest.mark.parametrize("away", ["gone", "frozen"])
async def test_the_report_intake_stops_while_nats_is_away(
    nats_server: EmbeddedNats, tmp_path: Path, away: str
) -> None:
    async with live_api(nats_server, tmp_path / "data") as live:
        intake = ReportIntake(live.parts, JetStreamReportQueue(live.core.connection))
        await intake.start()
        if away == "gone":
            nats_server.stop()
            await eventually(lambda: not intake.connected)
        else:
            os.kill(nats_server.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(5):
                await intake.stop()
        finally:
            if away == "gone":
                nats_server.start()
            else:
                os.kill(nats_server.pid, signal.SIGCONT)
        await eventually(lambda: live.core.connection.is_connected)


async def test_the_report_intake_says_why_it_cannot_start(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    async with live_api(nats_server, tmp_path / "data") as live:
        intake = ReportIntake(live.parts, JetStreamReportQueue(live.core.connection))
        os.kill(nats_server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(Busy, match="is JetStream up"):
                await intake.start()
        finally:
            os.kill(nats_server.pid, signal.SIGCONT)
        assert not intake.connected
        await eventually(lambda: live.core.connection.is_connected)
