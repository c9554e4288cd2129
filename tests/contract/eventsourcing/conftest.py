"""One server and a cluster of three for all tests here; each test has streams of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.support.cluster import running_cluster
from tests.support.recorders import Nats


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
