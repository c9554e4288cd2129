"""`towpath doctor`: looks for what would break the promises or stands still, and says how to mend it.

Each check is a function of its own that takes the examination and answers findings; it changes nothing. A
check that fails itself is a finding, too, so that one broken part never hides what is wrong with the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import nats.errors

from domain.errors import Busy
from domain.ports import Clock, LogGap
from infra.doctor.broker import clocks, disk, log_room, streams, sync, version
from infra.doctor.consumers import durable_consumers
from infra.doctor.dead import dead_letters
from infra.doctor.examination import Examination, examining
from infra.doctor.finding import Finding, ok, problem
from infra.doctor.holders import holders
from infra.doctor.work import locks, pools, read_model
from infra.nats_connection import NatsUnavailable, connect, server_urls
from infra.settings import Settings

Check = Callable[[Examination], Awaitable[list[Finding]]]

CHECKS: tuple[Check, ...] = (
    sync,
    streams,
    log_room,
    clocks,
    durable_consumers,
    locks,
    holders,
    read_model,
    pools,
    dead_letters,
)
"""In the order in which they are shown."""


def _now() -> datetime:
    return datetime.now(UTC)


def run_doctor(settings: Settings) -> list[Finding]:
    """All findings, in the order of the checks."""
    return asyncio.run(examine(settings))


async def examine(settings: Settings, clock: Clock = _now) -> list[Finding]:
    """All findings; without NATS only what can be seen from here."""
    try:
        connection = await connect(settings, "towpath-doctor")
    except NatsUnavailable as error:
        return [problem("nats", "no answer", str(error)), disk(settings)]
    findings = [ok("nats", f"connected to {', '.join(server_urls(settings))}"), version(connection)]
    try:
        async with examining(settings, connection, clock) as about:
            for check in CHECKS:
                findings += await _checked(check, about)
    finally:
        await connection.close()
    return [*findings, disk(settings)]


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
        return [problem(name, f"cannot be examined: {error!r}", "is NATS up, and are the streams there?")]
