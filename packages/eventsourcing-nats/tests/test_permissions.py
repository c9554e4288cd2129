"""An application needs no more of NATS than the README lists."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate

from infra.nats.binary import dying_with_parent, find_nats_server
from nats_settings import Nats
from tests.support.cluster import cluster_ready
from tests.support.ports import free_ports

README = Path(__file__).parents[1] / "README.md"


def listed() -> dict[str, list[str]]:
    """The permissions of the README's configuration block, for the application Shop."""
    block = README.read_text().split("```json\n")[1].split("```")[0]
    found: dict[str, list[str]] = json.loads(block)
    return found


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server whose user `shop` may do what is listed; `admin` everything."""
    (port,) = free_ports(1)
    config = tmp_path / "nats.conf"
    config.write_text(f"""
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{tmp_path}/store" }}
authorization {{ users: [
  {{ user: admin, password: admin }},
  {{ user: shop, password: shop, permissions: {json.dumps(listed())} }}
] }}
""")
    process = subprocess.Popen(
        [*dying_with_parent(), str(find_nats_server()), "-c", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        await cluster_ready([f"nats://admin:admin@127.0.0.1:{port}"])
        yield f"nats://127.0.0.1:{port}"
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


async def test_the_listed_permissions_are_enough(url: str) -> None:
    env = Nats(url).settings(NATS_STREAM_PREFIX="es", NATS_USER="shop", NATS_PASSWORD="shop")
    assert await asyncio.to_thread(trade, env) == 3
    assert await asyncio.to_thread(trade, {**env, "CREATE_TABLE": "no"}) == 3
