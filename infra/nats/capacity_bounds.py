"""Capacity of the log: limits of stream, account and server, free disk, and timers.

A full disk is worse than a reached limit. At a limit the server rejects an append and continues. After one
failed write it stops answering on that stream until it is restarted, even if space is free again (measured
with nats-server 2.15.1). So the space that the other streams may still use up to their own limits counts as
used: they cannot consume the reserve.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adapters.event_store.measured_capacity import MeasuredCapacity
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from domain.log.capacity import Bound
from domain.subjects import Stream
from infra.config.settings import Settings
from infra.nats.connection import server_urls
from infra.nats.monitoring import MonitorUnavailable, ServerFacts, server_facts
from infra.nats.ports_file import running_ports
from infra.nats.stream_definitions import TIMER_BYTES

_FREE_DISK = (
    "free that much there, stop what else writes there, or give a larger disk (--data-dir), of which "
    "{kept} MiB are kept for what is on its way and for what is open to end"
)
Json = Mapping[str, Any]


def log_capacity(settings: Settings, api: JetStreamApi) -> MeasuredCapacity:
    """Measures the capacity of the log that `api` reads."""

    async def measure() -> Sequence[Bound]:
        return await bounds(settings, api)

    return MeasuredCapacity(measure)


async def bounds(settings: Settings, api: JetStreamApi) -> list[Bound]:
    """All limits that this process can see.

    Raises:
        LogUnreachable: NATS does not answer.
    """
    streams = {str(one["config"]["name"]): one for one in await api.streams()}
    log = streams.get(Stream.LOG)
    if log is None:
        raise LogUnreachable(f"there is no stream {Stream.LOG}")
    reserve = settings.log_reserve_bytes
    spoken_for = sum(unfilled(one) for name, one in streams.items() if name != Stream.LOG)
    found = [
        *_own_limit(log, reserve),
        *_account_limit(await api.account(), log, reserve, spoken_for),
        *_timers(streams.get(Stream.TIMER)),
    ]
    if settings.nats_monitor_url is not None:
        found += await _server_limit(settings.nats_monitor_url, reserve, spoken_for)
    store = embedded_store(settings)
    if store is not None:
        found += _disk(store, reserve, spoken_for)
    return found


def unfilled(stream: Json) -> int:
    """How many bytes a stream other than the log may still grow by; 0 for streams of other programs."""
    name = str(stream["config"]["name"])
    most = TIMER_BYTES if name == Stream.TIMER else int(stream["config"].get("max_bytes", -1))
    ours = name.startswith(f"{Stream.LOG}_")
    return max(most - int(stream["state"]["bytes"]), 0) if ours and most > 0 else 0


def _own_limit(log: Json, reserve: int) -> list[Bound]:
    most = int(log["config"].get("max_bytes", -1))
    if most <= 0:
        return []
    advice = (
        f"raise TOWPATH_LOG_MAX_BYTES and restart the API (or `nats stream edit {Stream.LOG} --max-bytes …`)"
    )
    return [Bound("the log's limit", most - int(log["state"]["bytes"]), min(reserve, most // 2), advice)]


def _account_limit(account: Json, log: Json, reserve: int, spoken_for: int) -> list[Bound]:
    """Limits in tiers: one for each number of replicas. Without tiers, every replica counts."""
    replicas = int(log["config"].get("num_replicas", 1))
    tier = (account.get("tiers") or {}).get(f"R{replicas}")
    used = tier or account
    most = int(used["limits"].get("max_storage", -1))
    if most < 0:
        return []
    left = (most - int(used["storage"])) // (1 if tier else replicas) - spoken_for
    return [Bound("the NATS account's storage limit", left, reserve, "raise the account's max_storage")]


def _timers(timers: Json | None) -> list[Bound]:
    """The stream of timers cannot reject, only drop: so work that makes new timers is rejected instead."""
    if timers is None:
        return []
    advice = "wait until open attempts have ended"
    return [Bound("the stream of timers", TIMER_BYTES - int(timers["state"]["bytes"]), 0, advice)]


async def _server_limit(
    monitor_url: str,
    reserve: int,
    spoken_for: int,
    ask: Callable[..., Any] = server_facts,
) -> list[Bound]:
    try:
        facts: ServerFacts = await ask(monitor_url, timeout_seconds=1.0)
    except MonitorUnavailable:
        return []
    if facts.max_storage_bytes <= 0:
        return []
    left = facts.max_storage_bytes - facts.stored_bytes - spoken_for
    advice = "raise max_file_store in the server's jetstream block"
    return [Bound("the NATS server's storage limit", left, reserve, advice)]


def embedded_store(settings: Settings) -> Path | None:
    """The directory of the embedded server's streams, if its ports file shows that it is in use."""
    running = running_ports(settings.data_dir)
    in_use = {urlsplit(url).port for url in server_urls(settings)}
    return settings.data_dir / "nats" if running is not None and running.client in in_use else None


def _disk(store: Path, reserve: int, spoken_for: int) -> list[Bound]:
    try:
        disk = os.statvfs(store)
    except OSError:
        return []
    left = disk.f_bavail * disk.f_frsize - spoken_for
    advice = _FREE_DISK.format(kept=(spoken_for + reserve) >> 20)
    return [Bound(f"the disk under {store}", left, reserve, advice)]
