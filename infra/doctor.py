"""`towpath doctor`: looks for what would break the promises, and says how to mend it.

Each check answers `ok`, `warning` or `problem` with a sentence; it changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from nats.aio.client import Client

from infra.nats_binary import MINIMUM_VERSION
from infra.nats_connection import NatsUnavailable, connect, server_urls
from infra.server_facts import MonitorUnavailable, server_facts
from infra.settings import Settings
from infra.streams import check_streams

MAX_CLOCK_SECONDS = 2.0
LOW_DISK_BYTES = 1 << 30
MAX_LAG = 10_000
State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `advice` is empty where all is well."""

    check: str
    state: State
    found: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def run_doctor(settings: Settings) -> list[Finding]:
    """All findings, in the order of the checks; the first problem may hide later ones."""
    return asyncio.run(_examine(settings))


async def _examine(settings: Settings) -> list[Finding]:
    try:
        connection = await connect(settings, "towpath-doctor")
    except NatsUnavailable as error:
        return [Finding("nats", "problem", "no answer", str(error)), _disk(settings)]
    findings = [
        Finding("nats", "ok", f"connected to {', '.join(server_urls(settings))}"),
        _version(connection),
    ]
    try:
        checks: list[Callable[[], Awaitable[list[Finding]]]] = [
            lambda: _sync(settings),
            lambda: _streams(connection),
            lambda: _clock(connection),
            lambda: _projections(settings, connection),
        ]
        for check in checks:
            findings += await check()
    finally:
        await connection.close()
    return [*findings, _disk(settings)]


def _version(connection: Client) -> Finding:
    version = connection.connected_server_version
    found = f"{version.major}.{version.minor}.{version.patch}"
    if (version.major, version.minor, version.patch) >= MINIMUM_VERSION:
        return Finding("nats version", "ok", found)
    wanted = ".".join(map(str, MINIMUM_VERSION))
    return Finding("nats version", "problem", found, f"upgrade nats-server to {wanted} or newer")


async def _sync(settings: Settings) -> list[Finding]:
    url = _monitor_url(settings)
    if url is None:
        advice = "set TOWPATH_NATS_MONITOR_URL to the server's monitoring port to have this checked"
        return [Finding("sync", "warning", "unknown", advice)]
    try:
        facts = await server_facts(url)
    except MonitorUnavailable as error:
        return [Finding("sync", "warning", "unknown", str(error))]
    if facts.sync_always:
        return [Finding("sync", "ok", "every acknowledged event is on disk (sync_interval: always)")]
    found = f"acknowledged events may be in memory only for {facts.sync_interval_seconds:g} s"
    return [Finding("sync", "problem", found, "set sync_interval: always in the server's jetstream block")]


def _monitor_url(settings: Settings) -> str | None:
    if settings.nats_monitor_url is not None:
        return settings.nats_monitor_url
    if settings.nats_url is not None:
        return None
    for path in sorted(settings.data_dir.glob("nats-server_*.ports")):
        ports = json.loads(path.read_text())
        return str(ports["monitoring"][0])
    return None


async def _streams(connection: Client) -> list[Finding]:
    found = await check_streams(connection)
    return [
        Finding(f"stream {name}", "ok" if problem is None else "problem", problem or "as it must be")
        for name, problem in found.items()
    ]


async def _clock(connection: Client) -> list[Finding]:
    """The broker stamps its API answers; this machine's clock is compared with that."""
    before = datetime.now(UTC)
    answer = json.loads((await connection.request("$JS.API.STREAM.INFO.TOWPATH", b"", timeout=5)).data)
    after = datetime.now(UTC)
    if "ts" not in answer:
        return []
    broker = datetime.fromisoformat(answer["ts"][:26].rstrip("Z") + "+00:00")
    apart = max((before - broker).total_seconds(), (broker - after).total_seconds(), 0.0)
    found = f"{apart:.3f} s apart from the broker's"
    if apart <= MAX_CLOCK_SECONDS:
        return [Finding("clock", "ok", found)]
    return [
        Finding("clock", "warning", found, "run a time service (chrony, systemd-timesyncd) on both machines")
    ]


async def _projections(settings: Settings, connection: Client) -> list[Finding]:
    from adapters.jetstream_api import JetStreamApi
    from adapters.jetstream_log import JetStreamLogReader
    from adapters.read_model import SqlReadModel
    from adapters.read_model_database import open_database

    last = await JetStreamLogReader(connection, JetStreamApi(connection)).last_seq()
    engine = open_database(settings.read_model_url)
    try:
        behind = last - await SqlReadModel(engine).position()
    except Exception as error:
        advice = "start `towpath projector`, or check TOWPATH_DATABASE_URL"
        return [Finding("read model", "problem", f"cannot be read: {type(error).__name__}", advice)]
    finally:
        await engine.dispose()
    found = f"{behind} of {last} events behind"
    if behind <= MAX_LAG:
        return [Finding("read model", "ok", found)]
    return [Finding("read model", "warning", found, "is a projector running? start `towpath projector`")]


def _disk(settings: Settings) -> Finding:
    directory = settings.data_dir if settings.data_dir.exists() else settings.data_dir.parent
    free = shutil.disk_usage(directory).free
    found = f"{free / (1 << 30):.1f} GiB free under {settings.data_dir}"
    if free >= LOW_DISK_BYTES:
        return Finding("disk", "ok", found)
    return Finding("disk", "problem", found, "free disk space: the log refuses new events when it runs out")
