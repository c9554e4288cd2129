"""A full or damaged state directory: nothing is taken, nothing is reported wrongly, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.nats.embedded_server import EmbeddedNats
from runner.service import RunnerService
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    NatsControlPlane,
    RunnerProcess,
    alive,
    new_marker,
    submission,
)
from tests.support.waiting import eventually

SIZE = "3m"
RESERVE = 256 * 1024


class SmallDisk:
    """The file system that state directories lie on: a small one of its own where this process may mount."""

    def __init__(self, path: Path) -> None:
        self.path = path
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)]
        self.mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0

    def fill(self, runner: RunnerService) -> None:
        if not self.mounted:
            runner.state.file.run("PRAGMA max_page_count = 1")  # SQLite's own way to have no room
            return
        with (self.path / "filling").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(512)):
                pass

    def make_room(self, runner: RunnerService) -> None:
        (self.path / "filling").unlink(missing_ok=True)
        if not self.mounted:
            runner.state.file.run("PRAGMA max_page_count = 1000000")

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    (tmp_path / "state").mkdir()
    disk = SmallDisk(tmp_path / "state")
    yield disk
    disk.close()


@pytest.fixture
async def start_on(disk: SmallDisk, start_runner: StartRunner, control: HttpControlPlane) -> StartRunner:
    """Runners with their state on the small disk; they are stopped before it goes."""

    async def start(**changes: Any) -> RunnerService:
        return await start_runner(callback_urls=(control.url,), reserve_bytes=RESERVE, **changes)

    return start


def waiting_for(file: Path, marker: str) -> list[str]:
    return ["sh", "-c", f"until [ -e {file} ]; do sleep 0.05; done # {marker}"]


async def test_what_runs_goes_on_and_is_reported_when_there_is_room_again(
    start_on: StartRunner, disk: SmallDisk, control: HttpControlPlane, tmp_path: Path
) -> None:
    runner = await start_on()
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:

        async def post(command: list[str]) -> tuple[str, httpx.Response]:
            body = submission(command)
            body |= control.callback(body["task_id"])
            return body["task_id"], await client.post("/tasks/submit", json=body)

        marker = new_marker()
        at_work, _ = await post(waiting_for(tmp_path / "go", marker))
        await eventually(lambda: _runs(runner, at_work), DEADLINE)
        disk.fill(runner)

        refused_id, refused = await post(["true"])
        assert refused.status_code == 507, refused.text
        assert "make room" in refused.json()["detail"]
        health = await client.get("/health")
        assert (health.status_code, health.json()["intake"]) == (503, "closed")
        assert "make room" in health.json()["troubles"]["state"]
        assert (await client.get(f"/tasks/{at_work}")).json()["status"] == "running"

        (tmp_path / "go").touch()
        await eventually(lambda: not alive(marker), DEADLINE)
        assert control.said(at_work) == ["running"]
        assert [key.task_id for key in runner.state.held()] == [at_work]

        disk.make_room(runner)
        assert (await control.final(at_work))["status"] == "succeeded"
        await eventually(lambda: not runner.state.held(), DEADLINE)

        async def open_again() -> bool:
            return bool((await client.get("/health")).json()["status"] == "ok")

        await eventually(open_again, DEADLINE)
        later, taken = await post(["true"])
        assert taken.status_code == 202
        assert (await control.final(later))["status"] == "succeeded"
        assert control.said(refused_id) == []
        assert control.said(at_work) == ["running", "succeeded"]


async def test_over_nats_the_queue_keeps_what_the_runner_cannot_take_and_heartbeats_go_on(
    start_on: StartRunner, disk: SmallDisk, nats_server: EmbeddedNats, nats_control: NatsControlPlane
) -> None:
    runner = await start_on(nats_url=nats_server.runner_url, intake_port=None, lease_seconds=1.5)
    disk.fill(runner)
    await eventually(lambda: not runner._storage.usable(), DEADLINE)
    deadline = runner._lease.deadline or 0
    task_id = await nats_control.submit(submission(["true"]))
    await eventually(lambda: (runner._lease.deadline or 0) > deadline + 1, DEADLINE)
    assert runner.state.held() == []
    assert nats_control.said(task_id) == []
    disk.make_room(runner)
    assert (await nats_control.final(task_id))["status"] == "succeeded"


async def test_a_runner_that_comes_back_to_a_scarce_disk_reports_what_it_held_and_takes_nothing(
    start_runner: StartRunner,
    control: HttpControlPlane,
    runner_process: Callable[..., RunnerProcess],
    tmp_path: Path,
) -> None:
    first = runner_process(callback_urls=(control.url,))
    marker = new_marker()
    body = submission(waiting_for(tmp_path / "never", marker))
    await first.submit({**body, **control.callback(body["task_id"])})
    await eventually(lambda: alive(marker), DEADLINE)
    first.close()
    runner = await start_runner(callback_urls=(control.url,), reserve_bytes=2**60)
    assert (await control.final(body["task_id"]))["reason"] == "runner-lost"
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:
        other = submission(["true"])
        answer = await client.post("/tasks/submit", json={**other, **control.callback(other["task_id"])})
    assert answer.status_code == 507
    assert "MiB are free" in answer.json()["detail"]


async def test_a_damaged_state_stops_the_intake_and_the_end_is_left_to_the_control_plane(
    start_on: StartRunner, control: HttpControlPlane, tmp_path: Path
) -> None:
    runner = await start_on()
    marker = new_marker()
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:
        body = submission(waiting_for(tmp_path / "go", marker))
        body |= control.callback(body["task_id"])
        assert (await client.post("/tasks/submit", json=body)).status_code == 202
        await eventually(lambda: _runs(runner, body["task_id"]), DEADLINE)
        damage(runner)
        other = submission(["true"])
        other |= control.callback(other["task_id"])
        assert (await client.post("/tasks/submit", json=other)).status_code == 507
        health = await client.get("/health")
        assert (health.status_code, health.json()["held"]) == (503, 1)
        assert "is damaged" in health.json()["troubles"]["state"]
        assert alive(marker)
        (tmp_path / "go").touch()
        await eventually(lambda: not runner.state.held(), DEADLINE)
        assert control.said(body["task_id"]) == ["running"]


def _runs(runner: RunnerService, task_id: str) -> bool:
    """Its process runs, and that is written down."""
    attempt = runner.state.newest(task_id)
    return attempt is not None and attempt.phase == "running"


def damage(runner: RunnerService) -> None:
    """Overwrite all that SQLite reads again."""
    file = runner.state.directory / "runner.sqlite3"
    runner.state.file.run("PRAGMA wal_checkpoint(TRUNCATE)")
    runner.state.file.run("PRAGMA cache_size = 1")
    with file.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xa5" * (file.stat().st_size - 4096))
