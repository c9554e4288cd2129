"""Reads `nats-server_<pid>.ports`: where the embedded server listens.

A killed server leaves its file behind and its process id may be reused. So a file counts only while its
process runs with the configuration of the same data directory.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CONFIGURATION = "nats-server.conf"
_NAME = re.compile(r"nats-server_([0-9]+)\.ports")


@dataclass(frozen=True, slots=True)
class NatsPorts:
    """The two ports of a server, on loopback."""

    client: int
    monitor: int


def ports_files(data_dir: Path) -> dict[int, Path]:
    """Process id to path of every ports file."""
    try:
        names = [(path, _NAME.fullmatch(path.name)) for path in data_dir.iterdir()]
    except OSError:
        return {}
    return {int(found[1]): path for path, found in names if found}


def running_ports(data_dir: Path) -> NatsPorts | None:
    """The ports of the server that runs on `data_dir`; None if none runs."""
    for pid, path in ports_files(data_dir).items():
        ports = read_ports(path) if _runs(pid, data_dir) else None
        if ports is not None:
            return ports
    return None


def read_ports(path: Path) -> NatsPorts | None:
    """The content of a ports file; None while it is missing or incomplete."""
    try:
        said = json.loads(path.read_bytes())
        client, monitor = (urlsplit(said[name][0]).port for name in ("nats", "monitoring"))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return NatsPorts(client, monitor) if client and monitor else None


def _runs(pid: int, data_dir: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(data_dir.absolute() / CONFIGURATION).encode() in command
