"""Three nats-servers as one cluster on loopback, without users: for what only replication shows."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.nats.binary import dying_with_parent, find_nats_server
from tests.support.nats import api, connect
from tests.support.ports import free_ports
from tests.support.waiting import eventually


@dataclass
class Node:
    """One server of the cluster."""

    url: str
    config: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [*dying_with_parent(), str(find_nats_server()), "-c", str(self.config)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """SIGKILL: no goodbye to the others."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class Cluster:
    """`nodes` may be killed and started one by one."""

    nodes: list[Node]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    async def ready(self) -> None:
        """Wait until all nodes have joined and JetStream has a leader."""
        await cluster_ready(self.urls)


async def cluster_ready(urls: list[str], timeout: float = 30.0) -> None:
    """Wait until JetStream has a leader that every one of `urls` can reach."""
    for url in urls:
        nc = await eventually(lambda url=url: _try_connect(url), timeout)
        try:
            await eventually(lambda nc=nc: _has_leader(nc), timeout)
        finally:
            await nc.close()


@contextlib.contextmanager
def running_cluster(directory: Path, size: int = 3) -> Iterator[Cluster]:
    """A cluster under `directory`, ended by process id. Call `await cluster.ready()` before use."""
    clients, routes = free_ports(size), free_ports(size)
    nodes = []
    for number, (client, route) in enumerate(zip(clients, routes, strict=True)):
        config = directory / f"node{number}.conf"
        config.write_text(
            cluster_config(
                f"n{number}",
                f"127.0.0.1:{client}",
                f"127.0.0.1:{route}",
                [f"127.0.0.1:{port}" for port in routes],
                directory / f"n{number}",
            )
        )
        nodes.append(Node(f"nats://127.0.0.1:{client}", config))
    try:
        for node in nodes:
            node.start()
        yield Cluster(nodes)
    finally:
        for node in nodes:
            node.kill()


def cluster_config(name: str, listen: str, route_listen: str, routes: list[str], store: Path) -> str:
    """Configuration of one node; `routes` are `host:port` of all nodes."""
    peers = ", ".join(f'"nats://{route}"' for route in routes)
    return f"""\
server_name: {name}
listen: "{listen}"
jetstream {{ store_dir: "{store}" }}
cluster {{ name: towpath, listen: "{route_listen}", routes: [{peers}], no_advertise: true }}
"""


async def _try_connect(url: str):
    try:
        return await connect(url, allow_reconnect=False, connect_timeout=1, error_cb=_ignore)
    except Exception:
        return None


async def _has_leader(nc) -> bool:
    try:
        return "error" not in await api(nc, "INFO", timeout=1)
    except Exception:
        return False


async def _ignore(_: Exception) -> None:
    """Connection attempts against a starting server fail noisily otherwise."""
