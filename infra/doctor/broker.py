"""Checks of NATS: server, settings, streams, clock, disk."""

from __future__ import annotations

import shlex
import shutil
from datetime import datetime
from itertools import islice

from nats.aio.client import Client

from adapters.event_store.measured_capacity import NEAR
from adapters.nats.client import READ_VERSIONS, Tappable, installed_version
from domain.evidence.history_rules import MAX_CLOCK_SECONDS
from domain.subjects import Stream
from infra.config.private_files import open_to_others
from infra.config.settings import Settings
from infra.doctor.examination import Examination
from infra.doctor.finding import Finding, ok, problem, warning
from infra.nats.binary import MINIMUM_VERSION
from infra.nats.capacity_bounds import bounds
from infra.nats.embedded_server import HOST
from infra.nats.monitoring import MonitorUnavailable, server_facts
from infra.nats.ports_file import running_ports
from infra.nats.streams import check_streams

LOW_DISK_BYTES = 1 << 30


def version(connection: Client) -> Finding:
    """Whether the server is new enough."""
    server = connection.connected_server_version
    found = f"{server.major}.{server.minor}.{server.patch}"
    if (server.major, server.minor, server.patch) >= MINIMUM_VERSION:
        return ok("nats version", found)
    wanted = ".".join(map(str, MINIMUM_VERSION))
    return problem("nats version", found, f"upgrade nats-server to {wanted} or newer")


def client(settings: Settings, connection: Client) -> Finding:
    """Which NATS client is used, and whether it is the fast one on a version that it was written for."""
    installed, read = installed_version(), " or ".join(READ_VERSIONS)
    if isinstance(connection, Tappable):
        if installed in READ_VERSIONS:
            return ok("nats client", f"fast (nats-py {installed})")
        found = f"fast, which was not written for nats-py {installed}"
        return warning("nats client", found, f"unset TOWPATH_NATS_CLIENT, or install nats-py {read}")
    if settings.nats_client == "plain":
        advice = "unset TOWPATH_NATS_CLIENT to read the log twice as fast"
        return warning("nats client", "plain, as TOWPATH_NATS_CLIENT asks", advice)
    found = f"plain: nats-py {installed} is not the version that the fast one was written for"
    return warning("nats client", found, f"install nats-py {read} to read the log twice as fast")


async def sync(about: Examination) -> list[Finding]:
    """Whether an acknowledgement means "on disk"."""
    url = _monitor_url(about.settings)
    if url is None:
        advice = "set TOWPATH_NATS_MONITOR_URL to the server's monitoring port to have this checked"
        return [warning("sync", "unknown", advice)]
    try:
        facts = await server_facts(url)
    except MonitorUnavailable as error:
        return [warning("sync", "unknown", str(error))]
    if facts.sync_always:
        return [ok("sync", "every acknowledged event is on disk (sync_interval: always)")]
    found = f"acknowledged events may be in memory only for {facts.sync_interval_seconds:g} s"
    return [problem("sync", found, "set sync_interval: always in the server's jetstream block")]


def _monitor_url(settings: Settings) -> str | None:
    if settings.nats_monitor_url is not None:
        return settings.nats_monitor_url
    if settings.nats_url is not None:
        return None
    ports = running_ports(settings.data_dir)
    return f"http://{HOST}:{ports.monitor}" if ports is not None else None


async def streams(about: Examination) -> list[Finding]:
    """Whether each stream exists and has the required settings."""
    findings = []
    for name, wrong in (await check_streams(about.connection)).items():
        findings += [problem(f"stream {name}", found, advice) for found, advice in wrong] or [
            ok(f"stream {name}", "as it must be")
        ]
    return findings


async def clocks(about: Examination) -> list[Finding]:
    """Compares this machine's clock with the broker's time in an API response."""
    before = about.now()
    answer = await about.ask(f"STREAM.INFO.{Stream.LOG}")
    after = about.now()
    if "ts" not in answer:
        return []
    broker = datetime.fromisoformat(answer["ts"])
    apart = max((before - broker).total_seconds(), (broker - after).total_seconds(), 0.0)
    found = f"{apart:.3f} s apart from the broker's"
    if apart <= MAX_CLOCK_SECONDS:
        return [ok("clock", found)]
    advice = "run a time service (chrony, systemd-timesyncd) on both machines: deadlines hang on the clock"
    return [problem("clock", found, advice)]


async def log_room(about: Examination) -> list[Finding]:
    """Whether new work still fits into the log without using the reserve."""
    findings = []
    for bound in await bounds(about.settings, about.log):
        found = f"{bound.name} leaves {bound.spare / (1 << 20):.0f} MiB for new work"
        if bound.spare <= 0:
            findings.append(problem("log room", "new work is refused (507)", bound.shortage))
        elif bound.left < NEAR * bound.reserve:
            findings.append(warning("log room", found, bound.advice))
        else:
            findings.append(ok("log room", found))
    return findings


def privacy(settings: Settings) -> list[Finding]:
    """Which private files of the data directory others on this machine may read; empty if none."""
    directories = dict.fromkeys((settings.data_dir, settings.runner_state))
    found = [str(one) for directory in directories for one in islice(open_to_others(directory), 4)]
    if not found:
        return []
    shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
    advice = f"take it from them: chmod -R go= {shlex.quote(str(settings.data_dir))}"
    return [warning("privacy", f"others may read {shown}", advice)]


def disk(settings: Settings) -> Finding:
    """Whether the disk of the data directory has enough free space."""
    directory = settings.data_dir if settings.data_dir.exists() else settings.data_dir.parent
    free = shutil.disk_usage(directory).free
    found = f"{free / (1 << 30):.1f} GiB free under {settings.data_dir}"
    if free >= LOW_DISK_BYTES:
        return ok("disk", found)
    return problem("disk", found, "free disk space: the log refuses new events when it runs out")
