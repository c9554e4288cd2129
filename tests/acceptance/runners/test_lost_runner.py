"""Runners that are killed or stopped: their attempts end, nothing of them goes on, locks come home."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import httpx
import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.acceptance.jobs import resisting
from tests.support.nats import StartNats
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Client, Home, Json, Server
from tests.support.waiting import eventually

LEASE = {"TOWPATH_LEASE_SECONDS": "3", "TOWPATH_LEASE_GRACE_SECONDS": "1"}
LOST = ("failed", "runner-lost")


class Parts(Client):
    """Two projectors, an API and runners that the test may harm; a lease is three seconds."""

    def __init__(self, home: Home, server: EmbeddedNats) -> None:
        self._nats = server
        self.control = self._as(server.control.user, server.control.password) | {
            "TOWPATH_DATA_DIR": str(home.path / "control"),
            "TOWPATH_SECRET_KEY": "one secret for all of them",
        }
        self.projectors = [home.start("projector", **self.control) for _ in range(2)]
        self._port = free_port()
        super().__init__(home, f"http://127.0.0.1:{self._port}")
        self.api = self.start_api()

    def start_api(self) -> Server:
        """An API, on the same port as the one before."""
        return self.home.start("api", "--port", str(self._port), **self.control)

    def _as(self, user: str, password: str | None) -> dict[str, str]:
        return LEASE | {
            "TOWPATH_NATS_URL": self._nats.url,
            "TOWPATH_NATS_USER": user,
            "TOWPATH_NATS_PASSWORD": password or "",
        }

    async def ready(self) -> None:
        await eventually(self._answers, DEADLINE)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    async def runner(self, name: str, pool: str | None = None) -> Server:
        """A runner of `pool`, or of the pool of its name, alive."""
        given = self._as(self._nats.runner.user, self._nats.runner.password) | {
            "TOWPATH_DATA_DIR": str(self.home.path / name),
            "TOWPATH_ROOTS": str(self.home.path),
            "TOWPATH_RUNNER_ID": name,
            "TOWPATH_POOLS": pool or name,
        }
        started = self.home.start("runner", **given)
        await eventually(lambda: self.state(name) == "alive", DEADLINE)
        return started

    def state(self, name: str) -> str | None:
        return next((one["state"] for one in self.get("/runners")["items"] if one["id"] == name), None)

    def end(self, task_id: str) -> tuple[str, str] | None:
        task = self.ended(task_id)
        return (task["status"], task["reason"]) if task else None


@pytest.fixture
def parts(home: Home, start_nats: StartNats) -> Parts:
    return Parts(home, start_nats())


async def writing(parts: Parts, root: Path, name: str, **spec: str) -> str:
    """A job that resists being killed and writes to `<name>.log` for ever."""
    task_id = parts.create(resisting(name), **spec)
    await eventually(lambda: (root / f"{name}.log").exists(), DEADLINE)
    return task_id


async def test_a_killed_runners_attempts_end_though_a_watchdog_dies_too(parts: Parts) -> None:
    await parts.ready()
    root = parts.workspace("shop")
    runner = await parts.runner("host-1")
    await parts.runner("host-2")
    lost = await writing(parts, root, "lost", workspace="shop", pool="host-1")
    waiter = parts.create(["sh", "-c", "wc -c < lost.log > seen.txt"], workspace="shop", pool="host-2")
    plain = parts.create(["sleep", "1000"], pool="host-1")
    await eventually(lambda: parts.task(plain)["status"] == "running", DEADLINE)
    assert parts.task(lost)["runner_state"] == "alive"
    parts.projectors[0].kill()
    runner.kill()
    for task_id in (lost, plain):
        await eventually(lambda task_id=task_id: parts.end(task_id) == LOST, DEADLINE)
    assert "host-1" in parts.task(lost)["message"]
    await eventually(lambda: parts.end(waiter) == ("succeeded", None), DEADLINE)
    assert int((root / "seen.txt").read_text()) == (root / "lost.log").stat().st_size
    assert parts.state("host-1") == "lost"
    await eventually(lambda: parts.holders() == {}, DEADLINE)


async def test_a_stopped_runner_under_fail_and_under_hold(parts: Parts) -> None:
    await parts.ready()
    shop, bank = parts.workspace("shop"), parts.workspace("bank")
    assert parts.towpath("workspaces", "add", "bank", bank, "--on-runner-lost", "hold").returncode == 0
    runner = await parts.runner("host-1")
    ends = await writing(parts, shop, "ends", workspace="shop", pool="host-1")
    kept = await writing(parts, bank, "kept", workspace="bank", pool="host-1")
    os.kill(runner.process.pid, signal.SIGSTOP)
    await eventually(lambda: parts.state("host-1") == "suspected", DEADLINE)
    assert parts.end(ends) is None
    await eventually(lambda: parts.end(ends) == LOST, DEADLINE)
    written = _sizes(shop / "ends.log", bank / "kept.log")

    task = parts.task(kept)
    assert (task["status"], task["runner_state"], task["lock"]["state"]) == ("running", "lost", "held")
    assert "host-1 (lost)" in parts.towpath("task", kept).stdout
    told = parts.towpath("runners")
    assert "lost" in told.stdout
    assert kept in told.stderr
    assert kept in _doctor(parts)["locks of lost runners"]["found"]
    assert list(parts.holders()) == [kept]

    assert parts.towpath("release", kept, "--reason", "host-1 is stopped").returncode == 0
    await eventually(lambda: parts.end(kept) == LOST, DEADLINE)
    await eventually(lambda: parts.holders() == {}, DEADLINE)

    os.kill(runner.process.pid, signal.SIGCONT)
    await eventually(lambda: parts.state("host-1") == "alive", DEADLINE)
    again = parts.create(["true"], workspace="bank", pool="host-1")
    await eventually(lambda: parts.end(again) == ("succeeded", None), DEADLINE)
    assert [parts.end(ends), parts.end(kept)] == [LOST, LOST]
    assert _sizes(shop / "ends.log", bank / "kept.log") == written


def _sizes(*files: Path) -> list[int]:
    return [file.stat().st_size for file in files]


def _doctor(parts: Parts) -> dict[str, Json]:
    found = parts.towpath("doctor", "-o", "json", **parts.control)
    return {one["check"]: one for one in json.loads(found.stdout)}
