"""NATS is gone: every route answers, with 503 where it needs it, and all goes on when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client
from structlog.testing import capture_logs

import infra.nats.subscribers
from api.reports.nats_intake import ReportIntake
from domain.errors import Busy
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.subscribers import AWAY, BACK, Subscribers
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
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    """FastStream would ask again at once for as long as NATS is away, and keep a task for each time."""
    async with live_api(nats_server, tmp_path / "data") as live, live.intake() as intake:
        running = asyncio.create_task(intake.run())
        task_id = (await live.dispatched())["id"]
        with capture_logs() as logs:
            for _ in range(2):
                nats_server.stop()
                await eventually(lambda: not intake.connected)
                (subscriber,) = intake.subscribers
                assert (subscriber.running, subscriber.tasks) == (False, [])
                await asyncio.wait({running}, timeout=1)
                nats_server.start()
                await eventually(lambda: intake.connected and intake.subscribers[0].running, timeout=30)
        said = [one["event"] for one in logs if one["log_level"] != "debug"]
        assert [one for one in said if "subscribers" in one] == [AWAY, BACK] * 2, "each outage is said once"
        assert len(subscriber.tasks) == 1

        async def back() -> bool:
            report = live.core.connection.jetstream().publish(f"towpath.report.{task_id}", RUNNING)
            with contextlib.suppress(nats.errors.Error):
                await report
            answer = await live.http.get(f"/tasks/{task_id}")
            return answer.status_code == 200 and answer.json()["status"] == "running"

        await eventually(back, timeout=30)
        running.cancel()


@pytest.mark.parametrize("away", ["gone", "frozen"])
async def test_the_report_intake_stops_while_nats_is_away(
    nats_server: EmbeddedNats, tmp_path: Path, away: str
) -> None:
    async with live_api(nats_server, tmp_path / "data") as live:
        intake = live.intake()
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


async def test_the_report_intake_says_why_it_cannot_start(
    nats_server: EmbeddedNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infra.nats.subscribers, "START_SECONDS", 1.0)

    class FrozenThen(NatsBroker):
        async def connect(self) -> Client:
            connection = await super().connect()
            os.kill(nats_server.pid, signal.SIGSTOP)
            return connection

    async with live_api(nats_server, tmp_path / "data") as live:
        intake = Subscribers(partial(FrozenThen, nats_server.control_url), ReportIntake(live.parts))
        try:
            with pytest.raises(Busy, match="is JetStream up"):
                await intake.start()
        finally:
            os.kill(nats_server.pid, signal.SIGCONT)
        assert not intake.connected
        await eventually(lambda: live.core.connection.is_connected)
