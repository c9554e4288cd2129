"""A shared server and a shared cluster, where each test has streams of its own; others for outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infra.nats.embedded_server import EmbeddedNats
from nats_settings import Nats
from tests.support.servers.cluster import Cluster, running_cluster
from tests.support.servers.nats_proxy import NatsProxy


@pytest.fixture(scope="session")
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """A single server, one replica."""
    server = EmbeddedNats(tmp_path_factory.mktemp("nats"), port=0, sync_interval="2m")
    server.start()
    yield Nats(server.control_url, replicas=1)
    server.stop()


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """Three servers, three replicas."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        asyncio.run(cluster.ready())
        yield Nats(",".join(cluster.urls), replicas=3)


@pytest.fixture(params=["one_node", "three_nodes"])
def nats(request: pytest.FixtureRequest) -> Nats:
    """Both of them."""
    found: Nats = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    """A server that a test may kill."""
    server = EmbeddedNats(tmp_path / "nats", port=0, sync_interval="2m")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def nats_cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Three servers whose nodes a test may kill."""
    with running_cluster(tmp_path) as cluster:
        await cluster.ready()
        yield cluster


@pytest.fixture
async def proxy(nats_server: EmbeddedNats) -> AsyncIterator[NatsProxy]:
    """Before the server: it may lose what goes through it, or cut connections."""
    async with NatsProxy(nats_server.control_url) as running:
        yield running
