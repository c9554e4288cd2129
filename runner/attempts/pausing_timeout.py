"""The timeout of an attempt with `timeout_pauses`: it does not run while a question is open.

A pause only moves the deadline further away, so the runner asks the log when a deadline has come, and not
before: a read that begins after the deadline sees every question that was asked until then. The shim keeps
its own timeout BACKSTOP_SECONDS later, and kills the job if this runner no longer moves it. If the log cannot
be read, the job goes on for UNREADABLE_SECONDS, so that an outage kills no job that waits for a person; an
expired lease kills it earlier.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from runner.clock import boottime
from runner.control.pauses import PauseReader, PausesUnknown
from runner.process.shim.protocol import Why

POLL_SECONDS = 1.0
BACKSTOP_SECONDS = 30.0
UNREADABLE_SECONDS = 600.0
"""As long as `towpath ask` waits for an API that does not answer."""

log = structlog.get_logger(__name__)


class TimedProcess(Protocol):
    """The process of the job."""

    def move_timeout(self, deadline: float) -> None: ...

    def stop(self, why: Why, grace: float) -> None: ...


async def end_in_time(process: TimedProcess, seconds: float, grace: float, pauses: PauseReader) -> None:
    """Stop `process`, which has just started, once it has run for `seconds` and all its pauses.

    Cancel it when the process has ended.
    """
    base = deadline = boottime() + seconds
    unreadable_since: float | None = None
    process.move_timeout(deadline + BACKSTOP_SECONDS)
    while True:
        await _until(deadline)
        looked_at = boottime()
        try:
            found = await pauses.read()
        except PausesUnknown as error:
            unreadable_since = unreadable_since or looked_at
            log.warning("pauses of the timeout not readable", error=str(error))
            if looked_at >= unreadable_since + UNREADABLE_SECONDS:
                break
            process.move_timeout(boottime() + BACKSTOP_SECONDS)
            await asyncio.sleep(POLL_SECONDS)
            continue
        unreadable_since = None
        latest = base + found.most_seconds
        if looked_at >= latest:
            break
        deadline = min(latest, looked_at + POLL_SECONDS) if found.open else latest
        process.move_timeout(deadline + BACKSTOP_SECONDS)
    process.stop("timeout", grace)


async def _until(deadline: float) -> None:
    """Wait in short steps: the event loop's clock stops while the host sleeps, CLOCK_BOOTTIME does not."""
    while True:
        left = deadline - boottime()
        if left <= 0:
            return
        await asyncio.sleep(min(left, POLL_SECONDS))
