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
from nats.aio.client import Client
from structlog.testing import capture_logs

import api.reports.nats_intake
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
        for path in ("/livez", "/metrics", "/tasks", "/locks", "/workspaces"):
            assert (await live.http.get(path)).status_code == 200, path
        nats_server.start()

        async def works() -> bool:
            return (await live.http.post("/tasks", json={"command": ["true"]})).status_code == 201

        await eventually(works, timeout=30)


async def test_the_report_intake_waits_for_nats_without_spinning(
    nats_server: EmbeddedNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastStream would ask again at once for as long as NATS is away, and keep a task for each time."""
    monkeypatch.setattr(api.reports.nats_intake, "AWAY_SECONDS", 0.05)
    async with live_api(nats_server, tmp_path / "data") as live:
        task_id = (await live.dispatched())["id"]
        intake = ReportIntake(live.parts, live.connect, None)
        await intake.start()
        nats_server.stop()
        with capture_logs() as logs:
            await eventually(lambda: intake._ahead is not None and intake._ahead.failed > 3, timeout=30)
        said = [one["event"] for one in logs if one["event"].startswith("reports cannot be fetched")]
        assert len(said) == 1, "an outage is said once, not with each try"
        assert intake._broker is not None
        (subscriber,) = intake._broker.subscribers
        assert len(subscriber.tasks) == 1
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
        intake = ReportIntake(live.parts, live.connect)
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

        async def frozen_then() -> Client:
            connection = await live.connect()
            os.kill(nats_server.pid, signal.SIGSTOP)
            return connection

        intake = ReportIntake(live.parts, frozen_then)
        try:
            with pytest.raises(Busy, match="is JetStream up"):
                await intake.start()
        finally:
            os.kill(nats_server.pid, signal.SIGCONT)
        assert not intake.connected
        await eventually(lambda: live.core.connection.is_connected)
