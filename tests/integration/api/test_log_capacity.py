"""A log that runs full: new work is refused in time, and what is open still comes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.config.settings import Settings
from infra.doctor.broker import log_room
from infra.doctor.examination import examining
from infra.nats.capacity_bounds import bounds, unfilled
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from tests.integration.api.live_api import LiveApi, live_api
from tests.support.messages import new_id, now
from tests.support.small_disk import fill, may_mount, small_disk
from tests.support.waiting import eventually

MIB = 1 << 20
PAYLOAD = {"BLOB": "x" * 100_000}


@dataclass
class Filling:
    """An API whose log is soon full; `make_room` mends that."""

    live: LiveApi
    make_room: Callable[[], Awaitable[object]]
    bound: str
    settings: Settings


@asynccontextmanager
async def limited(tmp_path: Path) -> AsyncIterator[Filling]:
    """The log has a limit of 4 MiB, half of which is the reserve."""
    sizes: dict[str, Any] = {"log_max_bytes": 4 * MIB, "log_reserve_bytes": 2 * MIB}
    with _server(tmp_path / "nats") as server:
        async with live_api(server, tmp_path / "data", **sizes) as live:
            yield Filling(
                live,
                lambda: ensure_streams(live.core.connection, max_bytes=16 * MIB),
                "the log's limit",
                live.core.settings,
            )


@asynccontextmanager
async def on_a_small_disk(tmp_path: Path) -> AsyncIterator[Filling]:
    """Everything lies on one disk, on which something else leaves 8 MiB beside the reserve."""
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "disk", 512))
        server = stack.enter_context(_server(disk))
        live = await stack.enter_async_context(live_api(server, disk, log_reserve_bytes=16 * MIB))
        others = sum(unfilled(one) for one in await live.core.api.streams())
        junk = fill(disk, others + (16 + 8) * MIB)

        async def make_room() -> None:
            junk.unlink()

        yield Filling(live, make_room, "the disk under", live.core.settings)


@contextmanager
def _server(directory: Path) -> Iterator[EmbeddedNats]:
    server = EmbeddedNats(directory, port=0, sync_interval="2m")
    server.start()
    try:
        yield server
    finally:
        server.stop()


WAYS = [limited, on_a_small_disk] if may_mount() else [limited]


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_open_ends_in_the_reserve_and_room_lets_new_work_in(
    tmp_path: Path, way: Callable[[Path], Any]
) -> None:
    async with way(tmp_path) as filling:
        live: LiveApi = filling.live
        http = live.http
        assert (await http.put("/workspaces/acme", json={"root": "/srv/acme"})).status_code == 201
        body = {"id": new_id(), "workspace": "acme"}
        running = [await live.dispatched(**body)]
        running += [await live.dispatched(workspace="acme", on_conflict="wait") for _ in range(20)]
        assert (await live.report(running[0]["id"], "running", attempt=1)).status_code == 200
        idle = (await http.post("/tasks", json={"command": ["true"]})).json()

        refused = await _fill_up(live)
        assert refused["status"] == 507
        assert refused["code"] == "log-nearly-full"
        assert refused["bound"].startswith(filling.bound)
        assert "send this again" in refused["detail"]
        for method, path, sent in (
            ("POST", f"/tasks/{idle['id']}/dispatch", None),
            ("PUT", "/workspaces/other", {"root": "/srv/other"}),
            ("POST", "/tasks?dispatch=true", {"command": ["true"]}),
        ):
            answer = await http.request(method, path, json=sent)
            assert (answer.status_code, answer.json()["code"]) == (507, "log-nearly-full"), path
        again = await http.post("/tasks", json={"command": ["true"], **body})
        assert again.status_code == 200, "a repeated create adds nothing to the log"
        assert f'towpath_log_room_bytes{{bound="{filling.bound}' in (await http.get("/metrics")).text
        assert {one.state for one in await _examined(filling)} >= {"problem"}

        for number, task in enumerate(running):  # each ends, gives back its lock, and the next is granted
            await eventually(lambda task=task: _lock(live, task["id"], "held"))
            if number % 2:
                assert (await http.post(f"/tasks/{task['id']}/cancel")).status_code == 202
            else:
                answer = await live.report(task["id"], "succeeded", attempt=1, output_tail="y" * 8000)
                assert answer.status_code == 200, answer.text
        await eventually(lambda: _lock(live, running[-1]["id"], "released"))
        assert (await http.post("/tasks", json={"command": ["true"]})).status_code == 507

        await filling.make_room()
        await eventually(lambda: _admitted(live))
        assert (await http.post(f"/tasks/{idle['id']}/dispatch")).status_code == 202


async def _fill_up(live: LiveApi) -> dict[str, Any]:
    """Create large tasks until one is refused, no faster than the room is measured; the refusal."""
    async with asyncio.timeout(60):
        while True:
            answer = await live.http.post("/tasks", json={"command": ["true"], "env": PAYLOAD})
            if answer.status_code != 201:
                return answer.json()
            await asyncio.sleep(0.02)


async def _examined(filling: Filling) -> list[Any]:
    core = filling.live.core
    async with examining(filling.settings, core.connection, now) as about:
        return await log_room(about)


async def _lock(live: LiveApi, task_id: str, state: str) -> bool:
    return (await live.http.get(f"/tasks/{task_id}")).json()["lock"]["state"] == state


async def _admitted(live: LiveApi) -> bool:
    return (await live.http.post("/tasks", json={"command": ["true"]})).status_code == 201


async def test_without_nats_the_last_figures_stay(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    async with live_api(nats_server, tmp_path / "data", log_max_bytes=4 * MIB, log_reserve_bytes=MIB) as live:
        capacity = live.core.capacity()
        await capacity.measure()
        (own, timers) = capacity.bounds()
        assert (own.name, own.reserve, timers.reserve) == ("the log's limit", MIB, 0)
        assert 3 * MIB < own.left <= 4 * MIB
        nats_server.stop()
        await capacity.measure()
        assert capacity.bounds() == (own, timers)
        nats_server.start()


async def test_the_disk_is_seen_where_the_store_is_ours(tmp_path: Path) -> None:
    with _server(tmp_path / "all") as server:
        async with live_api(server, tmp_path / "all") as live:
            names = [bound.name for bound in await bounds(live.core.settings, live.core.api)]
            assert names == ["the stream of timers", f"the disk under {tmp_path / 'all' / 'nats'}"]
            elsewhere = live.core.settings.model_copy(update={"data_dir": tmp_path})
            assert len(await bounds(elsewhere, live.core.api)) == 1


async def test_the_servers_own_limit_is_asked_for_where_a_monitor_is_known(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    async with live_api(nats_server, tmp_path / "data", nats_monitor_url=nats_server.monitor_url) as live:
        names = [bound.name for bound in await bounds(live.core.settings, live.core.api)]
        assert "the NATS server's storage limit" in names
