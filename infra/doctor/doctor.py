"""Runs the checks of `towpath doctor`, one after the other.

Each check is a function that takes the examination and returns findings; it changes nothing. An exception in
a check becomes a finding, too, so that it cannot hide the results of the other checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import nats.errors
from nats.aio.client import Client

from domain.errors import Busy
from domain.ports.log import Clock, LogGap
from domain.subjects import Stream
from infra.config.settings import Settings
from infra.doctor.broker import client, clocks, disk, log_room, privacy, streams, sync, version
from infra.doctor.consumers import durable_consumers
from infra.doctor.dead import dead_letters
from infra.doctor.examination import PATIENCE, Examination, Patience, examining
from infra.doctor.finding import Finding, ok, problem
from infra.doctor.holders import heartbeat_room, holders, runner_ids
from infra.doctor.notices import notices
from infra.doctor.work import locks, pools, read_model
from infra.nats.connection import NatsUnavailable, connect, shown_urls

LOOK_SECONDS = 5.0
_ASKED = f"$JS.API.STREAM.INFO.{Stream.REPORT}"
_ACCESS = (
    "set TOWPATH_NATS_USER and TOWPATH_NATS_PASSWORD to the control plane's or the ops user's; for a "
    "`towpath up`, give its --data-dir and --nats-port instead of TOWPATH_NATS_URL"
)

Check = Callable[[Examination], Awaitable[list[Finding]]]

CHECKS: tuple[Check, ...] = (
    sync,
    streams,
    log_room,
    clocks,
    durable_consumers,
    locks,
    holders,
    runner_ids,
    heartbeat_room,
    read_model,
    pools,
    dead_letters,
    notices,
)
"""In display order."""


def _now() -> datetime:
    return datetime.now(UTC)


def run_doctor(settings: Settings) -> list[Finding]:
    """All findings, in the order of the checks."""
    return asyncio.run(examine(settings))


async def examine(settings: Settings, clock: Clock = _now, patience: Patience = PATIENCE) -> list[Finding]:
    """All findings; without NATS, only those of local checks."""
    refusals = _Refusals()
    try:
        connection = await connect(settings, "towpath-doctor", error_cb=refusals.note)
    except NatsUnavailable as error:
        return [problem("nats", "no answer", str(error)), *privacy(settings), disk(settings)]
    findings = [
        ok("nats", f"connected to {shown_urls(settings)}"),
        version(connection),
        client(settings, connection),
    ]
    try:
        if await refusals.of_looking(connection):
            return [*findings, problem("access", "this NATS user may not look at the streams", _ACCESS)]
        async with examining(settings, connection, clock, patience) as about:
            for check in CHECKS:
                findings += await _checked(check, about)
    finally:
        await connection.close()
    return [*findings, *privacy(settings), disk(settings)]


class _Refusals:
    """Detects requests that the server refused: it reports them asynchronously and sends no response."""

    def __init__(self) -> None:
        self._refused = asyncio.Event()

    async def note(self, error: Exception) -> None:
        """Callback for `error_cb`."""
        if "permissions violation" in str(error).lower():
            self._refused.set()

    async def of_looking(self, connection: Client) -> bool:
        """Whether these credentials may not even query the streams beside the log."""
        asking = asyncio.ensure_future(connection.request(_ASKED, b"", timeout=LOOK_SECONDS))
        refused = asyncio.ensure_future(self._refused.wait())
        try:
            await asyncio.wait({asking, refused}, return_when=asyncio.FIRST_COMPLETED)
            return self._refused.is_set()
        finally:
            refused.cancel()
            asking.cancel()
            await asyncio.gather(asking, refused, return_exceptions=True)


async def _checked(check: Check, about: Examination) -> list[Finding]:
    name = check.__name__.replace("_", " ")
    try:
        return await check(about)
    except LogGap as error:
        return [problem(name, str(error), "run `towpath verify`, and restore the log from a backup")]
    except ValueError as error:
        advice = "a newer Towpath wrote it, or a stranger: upgrade this one, or run `towpath verify`"
        return [problem(name, str(error), advice)]
    except (Busy, nats.errors.Error, TimeoutError) as error:
        return [
            problem(
                name,
                f"cannot be examined: {error!r}",
                "is NATS up, and are the streams there? `towpath verify` says whether the log is whole",
            )
        ]
