"""Hosts on one Ethernet: each a network namespace with one address, and cuts between any two of them.

A cut drops packets silently, as a pulled cable or a lost route does: nobody is told, connections stay half
open. It may go both ways or one way only, so that one side still hears the other. The run itself, with its
clients and HTTP proxies, is the host `clients`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = "10.77.0"
BRIDGE = "chaos0"


def run(*command: str) -> None:
    """A command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Host:
    """`prefix` stands before a command that is to run there; empty for the run's own namespace."""

    name: str
    address: str
    prefix: tuple[str, ...] = ()

    def iptables(self, *rule: str) -> None:
        run(*self.prefix, "iptables", "-w", *rule)


class Network:
    """A bridge and hosts on it. Nothing has to be undone: it lives in a cell."""

    def __init__(self) -> None:
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{PREFIX}.1/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        self.clients = Host("clients", f"{PREFIX}.1")
        self.hosts: dict[str, Host] = {"clients": self.clients}

    def host(self, name: str) -> Host:
        """One more host, reachable from all others."""
        address = f"{PREFIX}.{10 + len(self.hosts)}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"v-{name}", "master", BRIDGE, "up")
        for command in (
            ["addr", "add", f"{address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["link", "set", "lo", "up"],
        ):
            run("ip", "-n", name, *command)
        host = Host(name, address, ("nsenter", f"--net=/run/netns/{name}", "--"))
        self.hosts[name] = host
        return host


class HostLink:
    """The way between a host and others; `cut` may be one way only."""

    def __init__(self, host: Host, others: Sequence[Host]) -> None:
        self.name = f"{host.name}/{'+'.join(other.name for other in others)}"
        self.host, self.others = host, others

    def cut(self, way: str) -> None:
        """`both`, `in` (the host hears nothing) or `out` (nothing of it is heard)."""
        for other in self.others:
            if way in ("both", "in"):
                self.host.iptables("-A", "INPUT", "-s", other.address, "-j", "DROP")
            if way in ("both", "out"):
                self.host.iptables("-A", "OUTPUT", "-d", other.address, "-j", "DROP")

    def heal(self) -> None:
        """Everything passes again; of a host with several cuts, all are healed."""
        self.host.iptables("-F")


class PortLink:
    """The way to a port on loopback, where all processes are one host: other cuts there stay as they are."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self._port = name, port
        self._rules: list[tuple[str, ...]] = []

    def cut(self, way: str) -> None:
        """`in`: nothing reaches the server; `out`: its answers are lost; `both`."""
        if way in ("both", "in"):
            self._drop("--dport")
        if way in ("both", "out"):
            self._drop("--sport")

    def heal(self) -> None:
        while self._rules:
            run("iptables", "-w", "-D", *self._rules[-1])
            self._rules.pop()

    def _drop(self, side: str) -> None:
        rule = ("INPUT", "-i", "lo", "-p", "tcp", side, str(self._port), "-j", "DROP")
        run("iptables", "-w", "-A", *rule)
        self._rules.append(rule)


Link = HostLink | PortLink
