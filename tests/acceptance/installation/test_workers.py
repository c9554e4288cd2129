"""Several API processes behind one port: they share the work, and the death of one is not noticed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import StartNats
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Client, Home, Server
from tests.support.waiting import eventually

METRIC = re.compile(r'^towpath_http_requests_total\{.*route="/livez".*worker="(\d)"\} (\d+)', re.MULTILINE)
ROUNDS = 40


def named(server: Server, name: str) -> set[int]:
    """Children of `server` that have this name in `ps`."""
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is(entry, name, server.process.pid)
    }


def _is(entry: Path, name: str, parent: int) -> bool:
    try:
        words = (entry / "stat").read_text()
    except OSError:
        return False
    said, _, rest = words.partition(" (")[2].rpartition(") ")
    return said == name and rest.split()[1] == str(parent)


def answered(url: str) -> Iterator[int]:
    """Statuses of requests, each on a connection of its own, for as long as they are asked for."""
    while True:
        yield httpx.get(f"{url}/livez", timeout=30).status_code


def shares(url: str) -> dict[str, int]:
    """How many requests each worker has answered."""
    text = httpx.get(f"{url}/metrics", timeout=30).text
    return {worker: int(count) for worker, count in METRIC.findall(text)}


async def test_they_share_a_port_and_one_that_dies_is_replaced(home: Home) -> None:
    up = home.up("--workers", "3")
    workers = named(up.server, "api")
    assert len(workers) == 3
    requests = answered(up.url)

    def asked() -> bool:
        assert [next(requests) for _ in range(ROUNDS)] == [200] * ROUNDS
        return len(shares(up.url)) == 3

    await eventually(asked, DEADLINE)
    seen = shares(up.url)
    assert sum(seen.values()) >= ROUNDS

    task = up.create(["sleep", "600"], title="goes on")
    await eventually(lambda: up.task(task)["status"] == "running", DEADLINE)
    for pid in sorted(workers)[:2]:
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: len(named(up.server, "api") - workers) == 2, DEADLINE)
    assert up.towpath("run", "--", "true").returncode == 0
    assert up.task(task)["status"] == "running"
    await eventually(asked, DEADLINE)

    assert up.server.interrupt() == 0
    assert home.processes() == []


async def test_an_api_alone_has_workers_too(home: Home, start_nats: StartNats) -> None:
    nats = start_nats()
    port = free_port()
    settings = _control(nats, home)
    server = home.start("api", "--port", str(port), "--workers", "2", **settings)
    home.start("projector", **settings)
    api = Client(home, f"http://127.0.0.1:{port}")
    await eventually(lambda: _ready(api), DEADLINE)
    assert len(named(server, "api")) == 2
    api.workspace("shop")
    assert [one["id"] for one in api.get("/workspaces")["items"]] == ["shop"]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(DEADLINE) == 0


def test_a_port_that_is_taken_is_named_before_a_worker_starts(home: Home, start_nats: StartNats) -> None:
    nats = start_nats()
    port = int(nats.url.rpartition(":")[2])
    ended = home.run("api", "--port", str(port), "--workers", "2", **_control(nats, home))
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_workers_that_cannot_start_end_it_and_say_why(home: Home, start_nats: StartNats) -> None:
    settings = _control(start_nats(), home) | {"TOWPATH_NATS_PASSWORD": "wrong"}
    ended = home.run("api", "--port", str(free_port()), "--workers", "2", **settings)
    assert ended.returncode == 1
    assert "towpath: the api keeps ending (last with 1)" in ended.stderr


def test_a_number_of_workers_that_cannot_be_is_refused(home: Home) -> None:
    ended = home.run("up", "--workers", "0")
    assert ended.returncode == 2
    assert "--workers" in ended.stderr


def _control(nats: EmbeddedNats, home: Home) -> dict[str, str]:
    return {
        "TOWPATH_NATS_URL": nats.url,
        "TOWPATH_NATS_USER": nats.control.user,
        "TOWPATH_NATS_PASSWORD": nats.control.password or "",
        "TOWPATH_DATA_DIR": str(home.path / "control"),
    }


def _ready(api: Client) -> bool:
    try:
        return httpx.get(f"{api.url}/readyz", timeout=30).is_success
    except httpx.HTTPError:
        return False
