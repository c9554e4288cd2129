"""What a run drives, in one shape for both deployments: processes, links, disks, and ways to them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.clients.lock_commands import Place
from tests.chaos.clients.receiver import Receiver
from tests.chaos.faults.http_proxy import HttpProxy
from tests.chaos.history import History
from tests.chaos.machines.disks import Disk
from tests.chaos.machines.network import Host, Link
from tests.chaos.machines.processes import Part, Process

LEASE_SECONDS = 3.0
GRACE_SECONDS = 2.0
DEADLINE_SECONDS = 10.0
API_TOKEN = "chaos-operator-token"
CALLBACK_TOKEN = "chaos-callback-token"
RUNNER_TOKEN = "chaos-runner-token"
SECRET_KEY = "0123456789abcdef0123456789abcdef"
TOWPATH = str(Path(sys.executable).with_name("towpath"))
POOLS = ("work", "more")


@dataclass(frozen=True)
class Machine:
    """What loses its power at once: processes, everything below them, and disks."""

    name: str
    kind: str
    parts: tuple[Part, ...]
    disks: tuple[Disk, ...]


@dataclass
class Harness:
    """Filled by `three_nodes` or `single_node`. `disks` names the process to start again after a full one.

    `forgets`: whether disks forget at a power cut what was not synced; without that no power is cut.
    """

    directory: Path
    history: History
    postgres: str
    nodes: int
    plant: str | None = None
    forgets: bool = False
    machines: list[Machine] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    links: dict[str, list[Link]] = field(default_factory=dict)
    disks: list[tuple[Disk, Part]] = field(default_factory=list)
    proxies: list[HttpProxy] = field(default_factory=list)
    apis: dict[str, str] = field(default_factory=dict)
    nats_urls: list[str] = field(default_factory=list)
    control: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    runner_states: dict[str, Path] = field(default_factory=dict)
    workspaces: dict[str, Path] = field(default_factory=dict)
    pools: tuple[str, ...] = POOLS
    lock_places: list[Place] = field(default_factory=list)
    receivers: list[Receiver] = field(default_factory=list)

    def environment(self, data_dir: str, **more: str) -> dict[str, str]:
        """Of every process: nothing of the caller's Towpath settings, short leases, one secret key."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TOWPATH_", "API_", "HOST_RUNNER"))
        }
        return {
            **kept,
            "TOWPATH_DATA_DIR": str(self.directory / data_dir),
            "TOWPATH_SECRET_KEY": SECRET_KEY,
            "TOWPATH_LEASE_SECONDS": str(LEASE_SECONDS),
            "TOWPATH_LEASE_GRACE_SECONDS": str(GRACE_SECONDS),
            "TOWPATH_SUBMIT_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
            "TOWPATH_NATS_REPLICAS": str(self.nodes),
            "TOWPATH_API_TOKENS": f"admin:{API_TOKEN}",
            "API_RUNNER_CALLBACK_TOKEN": CALLBACK_TOKEN,
            "TOWPATH_RUNNER_TOKEN": RUNNER_TOKEN,
            "TOWPATH_TOKEN": API_TOKEN,
            **more,
        }

    def process(self, kind: str, name: str, arguments: list[str], env: dict[str, str], host: Host) -> Process:
        """One `towpath …`, or with a plant the same with that bug in it; not started yet."""
        program = [TOWPATH]
        if self.plant is not None:
            program = [sys.executable, "-m", "tests.chaos.faults.planted", self.plant]
            env = {**env, "PYTHONPATH": str(Path(__file__).parents[3])}
        process = Process(kind, name, [*program, *arguments], env, host, self.directory, self.history)
        self.parts.append(process)
        return process

    def lock_place(self, host: Host, url: str) -> None:
        """Let lock commands run on `host`, which reaches an API at `url`."""
        self.lock_places.append(Place(host, self.environment(f"data-{host.name}", TOWPATH_URL=url)))

    def notifier(self, name: str, host: Host, env: dict[str, str]) -> Process:
        """One of the notifiers that share their state in PostgreSQL, and tell the receiver."""
        file = self.directory / "notify.toml"
        file.touch(mode=0o600)
        file.write_text(self.receivers[0].configuration)
        env = {**env, "TOWPATH_DATABASE_URL": self.postgres, "TOWPATH_NOTIFY": str(file)}
        return self.process("notifier", name, ["notifier"], env, host)

    def disk(self, name: str, path: Path, megabytes: int, part: Part) -> Disk:
        """A new disk at `path`; `part` is to be started again after it was full."""
        disk = Disk(name, path, megabytes, self.forgets)
        self.disks.append((disk, part))
        return disk

    def workspace_roots(self) -> Path:
        """Make the workspaces' directories; their common parent, which runners may work under."""
        roots = self.directory / "roots"
        for name in ("shop", "farm", "mill", "dock", "yard", "barn"):
            self.workspaces[name] = roots / name
            self.workspaces[name].joinpath("src").mkdir(parents=True)
            roots.joinpath(f"{name}-moved").mkdir()
        return roots

    def of_kind(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.kind == kind]

    async def close(self) -> None:
        """End everything that was started, by id, NATS last."""
        own = [part for part in self.parts if isinstance(part, Process)]
        for part in sorted(own, key=lambda part: part.kind in ("nats", "up")):
            await part.close()
        for proxy in self.proxies:
            await proxy.stop()
        for receiver in self.receivers:
            await receiver.stop()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait until the async `condition` is true; TimeoutError says `what` is not."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise TimeoutError(f"after {seconds:.0f} s: {what}") from None
