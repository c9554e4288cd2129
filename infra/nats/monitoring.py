"""Client of a nats-server's monitoring port, for `towpath doctor` and the check before a start.

Only this port shows whether an acknowledgement means "on disk" (`sync_always`): with the default interval a
power cut loses acknowledged events.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from domain.context.loopback import is_loopback
from domain.validation.bounded_response import PLAIN, AnswerUnusable, bounded

ANSWER_BYTES = 4 * 1024 * 1024


class MonitorUnavailable(Exception):
    """The monitoring endpoint did not answer as expected."""


@dataclass(frozen=True)
class ServerFacts:
    """`sync_interval_seconds`: how long an acknowledged write may be in memory only; 0 with `sync_always`."""

    version: str
    name: str
    jetstream: bool
    sync_always: bool
    sync_interval_seconds: float
    max_payload_bytes: int
    stored_bytes: int
    max_storage_bytes: int


async def server_facts(monitor_url: str, timeout_seconds: float = 5.0) -> ServerFacts:
    """Read `/varz` and `/jsz` below `monitor_url` (`http://host:8222`). Raises MonitorUnavailable."""
    try:
        client = httpx.AsyncClient(
            headers=PLAIN, timeout=timeout_seconds, trust_env=not _is_local(monitor_url)
        )
        async with asyncio.timeout(timeout_seconds), client as http:
            varz, jsz = await _read(http, f"{monitor_url}/varz"), await _read(http, f"{monitor_url}/jsz")
    except (httpx.HTTPError, httpx.InvalidURL, AnswerUnusable, TimeoutError, ValueError) as error:
        raise MonitorUnavailable(
            f"no answer from the NATS monitoring port at {monitor_url}: {error!r}. Start the server with "
            "`http: 127.0.0.1:8222` in its configuration, or leave out the monitoring URL."
        ) from error
    config = jsz.get("config") or {}
    always = bool(config.get("sync_always", False))
    return ServerFacts(
        version=varz["version"],
        name=varz["server_name"],
        jetstream=not jsz.get("disabled", False),
        sync_always=always,
        sync_interval_seconds=0.0 if always else config.get("sync_interval", 0) / 1e9,
        max_payload_bytes=varz["max_payload"],
        stored_bytes=jsz.get("storage", 0),
        max_storage_bytes=config.get("max_storage", 0),
    )


async def _read(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    async with http.stream("GET", url) as answer:
        answer.raise_for_status()
        said: dict[str, Any] = orjson.loads(await bounded(answer.headers, answer.aiter_raw(), ANSWER_BYTES))
    return said


def _is_local(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")
