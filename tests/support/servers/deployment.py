"""The servers of `infra/deployment`, with the files and variables that its compose files give them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.config.settings import Settings
from infra.deployment import DEPLOYMENT
from infra.deployment.certificates import make_certificates
from infra.deployment.prepare import NODES, secret_variables
from infra.nats.accounts import PASSWORD_VARIABLES
from infra.nats.binary import dying_with_parent, find_nats_server
from tests.support.ports import free_ports

LOOPBACK = "127.0.0.1"


@dataclass
class Deployed:
    """Running servers; `secrets` by variable."""

    urls: list[str]
    secrets: Mapping[str, str]
    ca: Path | None
    data_dir: Path
    logs: list[Path]

    def settings(self, user: str, **given: Any) -> Settings:
        """The settings of a program that comes as `user`."""
        return Settings(
            nats_url=",".join(self.urls),
            nats_user=user,
            nats_password=self.secrets[PASSWORD_VARIABLES[user]],
            nats_ca=self.ca,
            data_dir=self.data_dir,
            **given,
        )


def compose(name: str) -> dict[str, Any]:
    """A compose file as it stands, anchors resolved, variables not."""
    found: dict[str, Any] = yaml.safe_load((DEPLOYMENT / name).read_text())
    return found


@contextlib.contextmanager
def deployed_node(directory: Path) -> Iterator[Deployed]:
    """The one server of `compose.yaml`."""
    service = compose("compose.yaml")["services"]["nats"]
    client, monitor = free_ports(2)
    secrets = secret_variables()
    here = {"NATS_PORT": str(client), "NATS_MONITOR_PORT": str(monitor)}
    with _running([_command(service)], [_environment(service, secrets, directory / "node", here)], directory):
        yield Deployed(
            [f"nats://{LOOPBACK}:{client}"], secrets, None, directory / "data", [directory / "0.log"]
        )


@contextlib.contextmanager
def deployed_cluster(directory: Path) -> Iterator[Deployed]:
    """The three servers of `compose.cluster.yaml`, with certificates of their own."""
    services = compose("compose.cluster.yaml")["services"]
    certificates = directory / "certs"
    make_certificates(certificates, NODES)
    secrets = secret_variables()
    clients, monitors, routes = free_ports(3), free_ports(3), free_ports(3)
    commands, environments = [], []
    for number, name in enumerate(NODES):
        here = {
            "NATS_PORT": str(clients[number]),
            "NATS_MONITOR_PORT": str(monitors[number]),
            "NATS_CLUSTER_PORT": str(routes[number]),
            "NATS_ROUTES": "[" + ", ".join(f"nats://{LOOPBACK}:{port}" for port in routes) + "]",
        }
        environment = _environment(services[name], secrets, directory / name, here)
        for variable in ("NATS_CA", "NATS_CERT", "NATS_KEY"):
            environment[variable] = environment[variable].replace("/certs", str(certificates))
        commands.append(_command(services[name]))
        environments.append(environment)
    urls = [f"tls://{LOOPBACK}:{port}" for port in clients]
    with _running(commands, environments, directory):
        logs = [directory / f"{number}.log" for number in range(3)]
        yield Deployed(urls, secrets, certificates / "ca.pem", directory / "data", logs)


def _command(service: Mapping[str, Any]) -> list[str]:
    mounts = [mount.split(":") for mount in service["volumes"]]
    (source,) = [source for source, target, *_ in mounts if target == "/etc/nats"]
    nats = str((DEPLOYMENT / source).resolve())
    return [argument.replace("/etc/nats", nats) for argument in service["command"]]


def _environment(
    service: Mapping[str, Any], secrets: Mapping[str, str], store: Path, here: Mapping[str, str]
) -> dict[str, str]:
    """What the compose file says, but on loopback, on free ports, and with `secrets` put in."""
    given = {name: _filled(str(value), secrets) for name, value in service["environment"].items()}
    assert here.keys() <= given.keys()
    return {**given, "NATS_HOST": LOOPBACK, "NATS_STORE": str(store), **here}


def _filled(value: str, secrets: Mapping[str, str]) -> str:
    """`${NAME:?…}` and `${NAME:-default}` as compose fills them in."""

    def fill(match: re.Match[str]) -> str:
        return secrets.get(match[1]) or match[2].removeprefix(":-")

    return re.sub(r"\$\{(\w+)(:[^}]*)\}", fill, value)


@contextlib.contextmanager
def _running(
    commands: list[list[str]], environments: list[dict[str, str]], directory: Path
) -> Iterator[None]:
    binary = str(find_nats_server())
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        for number, (command, environment) in enumerate(zip(commands, environments, strict=True)):
            log = stack.enter_context((directory / f"{number}.log").open("wb"))
            process = subprocess.Popen(
                [*dying_with_parent(), binary, *command],
                env={"PATH": os.environ["PATH"], **environment},
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        yield
        assert [process.poll() for process in processes] == [None] * len(processes)
