"""Fixtures for every kind of test: real servers, one per test, since they start in milliseconds."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from tests.support.nats import StartNats, connect
from tests.support.servers.cluster import Cluster, running_cluster
from tests.support.servers.postgres import Postgres, running_postgres


def pytest_configure() -> None:
    """Where the tests run in the background of a script, these are ignored, also by all that they start."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `long` goes first; all else keeps its order."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[StartNats]:
    """Factory: `start_nats(sync_interval="always", …)` starts one more server, on free ports."""
    servers: list[EmbeddedNats] = []

    def start(**options: object) -> EmbeddedNats:
        server = EmbeddedNats(
            tmp_path / f"nats{len(servers)}", **{"port": 0, "sync_interval": "2m", **options}
        )
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def nats_server(start_nats: StartNats) -> EmbeddedNats:
    """A fresh server without streams."""
    return start_nats()


@pytest.fixture
async def js_connection(nats_server: EmbeddedNats) -> AsyncIterator[Client]:
    """The control plane's connection to a fresh server with freshly made streams."""
    nc = await connect(nats_server.control_url)
    try:
        await ensure_streams(nc)
        yield nc
    finally:
        await nc.close()


@pytest.fixture
async def nats_cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Three servers with a leader, without streams."""
    with running_cluster(tmp_path) as cluster:
        await cluster.ready()
        yield cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for the session; tests want `postgres_url`."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """SQLAlchemy URL (asyncpg) of a fresh, empty database."""
    return postgres.fresh_database()
