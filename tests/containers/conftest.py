"""NATS in containers. The image is made of the binary that the environment ships, so no registry is needed.

These tests fail, and never skip, where no Docker engine answers: they run only when asked for, by
`make test-containers`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from testcontainers.community.nats import NatsContainer
from testcontainers.core.config import ConnectionMode, testcontainers_config
from testcontainers.core.image import DockerImage
from testcontainers.core.network import Network

from infra.nats.binary import find_nats_server
from infra.nats.streams import ensure_streams
from tests.support.nats import connect
from tests.support.servers.cluster import cluster_config, cluster_ready

DOCKERFILE = """\
FROM scratch
COPY nats-server /nats-server
EXPOSE 4222 6222 8222
ENTRYPOINT ["/nats-server"]
"""

ONE_SERVER = """\
http: 8222
jetstream { store_dir: "/data", sync_interval: always }
"""


@pytest.fixture(scope="session")
def docker_on_loopback() -> None:
    """Reach containers at published ports, not at the bridge's address, and start no cleaner container."""
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    testcontainers_config.ryuk_disabled = True


@pytest.fixture(scope="session")
def nats_image(docker_on_loopback: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Tag of an image with nothing in it but nats-server. It stays, for the next run to find."""
    context = tmp_path_factory.mktemp("image")
    shutil.copy(find_nats_server(), context / "nats-server")
    (context / "Dockerfile").write_text(DOCKERFILE)
    with DockerImage(path=context, tag="towpath-nats:test", clean_up=False) as image:
        yield str(image)


@pytest.fixture
def nats_container(nats_image: str) -> Iterator[NatsContainer]:
    """One server with JetStream that syncs every write; `nats_container.nats_uri()` is its address."""
    with _container(nats_image, ONE_SERVER) as container:
        yield container


@pytest.fixture
async def container_connection(nats_container: NatsContainer) -> AsyncIterator[Client]:
    """A connection to `nats_container` with freshly made streams."""
    nc = await connect(nats_container.nats_uri())
    try:
        await ensure_streams(nc)
        yield nc
    finally:
        await nc.close()


@pytest.fixture
async def nats_container_cluster(nats_image: str) -> AsyncIterator[list[str]]:
    """Addresses of three servers, one container each, in a network of their own, with a leader."""
    names = ["n0", "n1", "n2"]
    routes = [f"{name}:6222" for name in names]
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network())
        containers = [
            stack.enter_context(
                _container(
                    nats_image,
                    cluster_config(name, "0.0.0.0:4222", "0.0.0.0:6222", routes, Path("/data")),
                    network,
                    name,
                )
            )
            for name in names
        ]
        urls = [container.nats_uri() for container in containers]
        await cluster_ready(urls, 60)
        yield urls


@contextlib.contextmanager
def _container(
    image: str, config: str, network: Network | None = None, alias: str | None = None
) -> Iterator[NatsContainer]:
    container = NatsContainer(image, ready_timeout_secs=60).with_command("-c /nats.conf")
    container.with_copy_into_container(config.encode(), "/nats.conf")
    if network is not None and alias is not None:
        container.with_network(network).with_network_aliases(alias)
    with container:
        yield container
