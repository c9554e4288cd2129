"""`towpath up` as users start it: the installed command with its own NATS server and its runner."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client
from pydantic import SecretStr

from infra.config.installation import running_on
from infra.config.settings import Settings, load_settings
from tests.bench.baselines.raw_publishes import connect_plain
from tests.bench.figures import SYNC_INTERVALS

READY_SECONDS = 60.0
STOP_SECONDS = 40.0
PASSWORD = "nats-password"


@dataclass(frozen=True, slots=True)
class Installation:
    """A running `towpath up`."""

    pid: int
    settings: Settings
    """How the bench reaches its API and, as the control plane's user, its NATS."""

    @property
    def port(self) -> int:
        """The API's port."""
        return self.settings.port

    async def connect(self, name: str) -> Client:
        """A connection to its NATS, of plain nats-py."""
        return await connect_plain(self.settings, name)


@contextlib.contextmanager
def up(home: Path, mode: str, capacity: int) -> Iterator[Installation]:
    """Run it below `home` until the context ends; handed over once it has said `ready`."""
    data, root = home / "data", home / "root"
    root.mkdir(parents=True)
    env = {
        **os.environ,
        "TOWPATH_DATA_DIR": str(data),
        "TOWPATH_NATS_SYNC_INTERVAL": SYNC_INTERVALS[mode],
        "TOWPATH_RUNNER_CAPACITY": str(capacity),
        "TOWPATH_SUBMIT_DEADLINE_SECONDS": "3600",  # a turn's tasks are all posted at its begin
        "TOWPATH_LOG_LEVEL": "error",
    }
    command = [str(Path(sys.executable).with_name("towpath")), "up", "--port", "0", "--nats-port", "0"]
    process = subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.PIPE)
    try:
        _await_ready(process)
        yield Installation(process.pid, _settings(data))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    said, end = b"", time.monotonic() + READY_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"ready\n" not in said:
            if not selector.select(max(0.0, end - time.monotonic())):
                raise TimeoutError(f"towpath up was not ready within {READY_SECONDS:.0f} s: {said!r}")
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                raise RuntimeError(f"towpath up ended before it was ready: {said!r}")
            said += piece


def _settings(data: Path) -> Settings:
    found = running_on(data)
    assert found is not None
    return load_settings(
        data_dir=data,
        port=int(found.url.rpartition(":")[2]),
        nats_url=f"nats://127.0.0.1:{found.nats_port}",
        nats_user="towpath",
        nats_password=SecretStr((data / PASSWORD).read_text().strip()),
    )
