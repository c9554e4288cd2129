"""An application needs no more of NATS than the README lists."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import OperationalError, StoredEvent
from nats.aio.client import Client

from infra.nats.binary import dying_with_parent, find_nats_server
from nats_settings import Nats
from tests.support.ports import free_ports
from tests.support.servers.cluster import cluster_ready
from tests.support.waiting import eventually

README = Path(__file__).parents[1] / "README.md"


def listed() -> dict[str, list[str]]:
    """The permissions of the README's configuration block, for the application Shop."""
    block = README.read_text().split("```json\n")[1].split("```")[0]
    found: dict[str, list[str]] = json.loads(block)
    return found


@dataclass
class Server:
    """A server whose user `shop` may do what is listed; `admin` everything."""

    url: str
    config: Path
    process: subprocess.Popen[bytes]

    async def set_password(self, password: str) -> None:
        """Change that of `shop` while the server runs, and wait until the change counts."""
        self.config.write_text(configuration(self.url.removeprefix("nats://"), self.config.parent, password))
        self.process.send_signal(signal.SIGHUP)
        client = Client()

        async def taken() -> bool:
            try:
                await client.connect(self.url, user="shop", password=password, allow_reconnect=False)
            except Exception:
                return False
            await client.close()
            return True

        await eventually(taken, 20)


def configuration(listen: str, directory: Path, password: str = "shop") -> str:
    """The server's configuration file."""
    return f"""
listen: "{listen}"
jetstream {{ store_dir: "{directory}/store" }}
authorization {{ users: [
  {{ user: admin, password: admin }},
  {{ user: shop, password: {password}, permissions: {json.dumps(listed())} }}
] }}
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    (port,) = free_ports(1)
    config = tmp_path / "nats.conf"
    config.write_text(configuration(f"127.0.0.1:{port}", tmp_path))
    process = subprocess.Popen(
        [*dying_with_parent(), str(find_nats_server()), "-c", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        await cluster_ready([f"nats://admin:admin@127.0.0.1:{port}"])
        yield Server(f"nats://127.0.0.1:{port}", config, process)
    finally:
        process.kill()
        process.wait()


class Shop(Application[UUID]):
    name = "Shop"
    is_snapshotting_enabled = True


def trade(env: dict[str, str]) -> int:
    """Everything an application does; the number of notifications that a subscription saw."""
    with Shop(env=env) as shop:
        with shop.recorder.subscribe() as subscription:
            boat = Aggregate()
            shop.save(boat)
            boat.trigger_event(Aggregate.Event)
            shop.save(boat, Aggregate())
            shop.take_snapshot(boat.id)
            assert shop.repository.get(boat.id).version == 2
            seen = [next(subscription).id for _ in range(3)]
        return len(seen)


async def test_the_listed_permissions_are_enough(server: Server) -> None:
    env = Nats(server.url).settings(NATS_STREAM_PREFIX="es", NATS_USER="shop", NATS_PASSWORD="shop")
    assert await asyncio.to_thread(trade, env) == 3
    assert await asyncio.to_thread(trade, {**env, "CREATE_TABLE": "no"}) == 3


async def test_a_connection_that_was_refused_for_a_while_is_made_again(server: Server) -> None:
    shop = {"NATS_STREAM_PREFIX": "es", "NATS_USER": "shop", "NATS_PASSWORD": "shop", "NATS_TIMEOUT": "3"}
    factory = Nats(server.url).factory("Shop", **shop)
    recorder = await asyncio.to_thread(factory.application_recorder)
    await server.set_password("another")
    with pytest.raises(OperationalError, match=r"(?i)authorization"):
        await asyncio.to_thread(recorder.max_notification_id)
    await server.set_password("shop")
    event = StoredEvent("a", 1, "t:E", b"")
    assert await asyncio.to_thread(recorder.insert_events, [event]) == [1]
    await asyncio.to_thread(factory.close)
