"""Delivery: sends to one channel, one message at a time, and tries again for a day.

A message is marked as being sent before the request, and as sent after the answer. A crash in between leaves
the mark: the next notifier sends it again, marked so. A channel that is down waits by itself.

A sender sets its pace. Where more is due than its pace lets through, that becomes a digest, and what is not
urgent is collected for a while after it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from domain.backoff import Backoff
from domain.lifecycle.asyncio_tasks import wait_at_most
from domain.notices.schedule import Timing
from domain.ports.notices import NoticeState, NotSent, Outgoing, Pull, Sender

TRY_FOR = timedelta(days=1)
RETRY = Backoff(first_seconds=5.0, longest_seconds=3600.0)
"""Between the tries of one message."""
PAUSE = Backoff(first_seconds=0.5, longest_seconds=30.0)
"""After failures in a row, before the channel's next message."""
JITTER = 0.1
LOOK_SECONDS = 1.0
COLLECT = timedelta(seconds=30)
"""How long a channel collects after a digest of what was too much for it."""

log = structlog.get_logger(__name__)


class Delivery:
    """Sends what is due to one channel."""

    def __init__(
        self,
        channel: str,
        timing: Timing,
        sender: Sender,
        state: NoticeState,
        clock: Callable[[], datetime],
        *,
        retry: Backoff = RETRY,
        try_for: timedelta = TRY_FOR,
        collect: timedelta = COLLECT,
    ) -> None:
        self.channel = channel
        self.kind = sender.kind
        self.timing = timing
        self._sender = sender
        self._state = state
        self._clock = clock
        self._retry = retry
        self._try_for = try_for
        self._collect = max(collect, timing.digest or timedelta())
        self._collects_until: datetime | None = None
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at once whether anything is due."""
        self._wake.set()

    async def run(self, closing: asyncio.Event) -> None:
        """Send until `closing` is set; what is being sent then is finished first."""
        failures = 0
        while not closing.is_set():
            if (pause := self._sender.pause()) > 0:
                await wait_at_most(closing, pause)
                continue
            one = await self._next()
            if one is None:
                await wait_at_most(self._wake, LOOK_SECONDS)
                self._wake.clear()
                continue
            failures = 0 if await self._send(one) else failures + 1
            if failures:
                await wait_at_most(closing, PAUSE.after(failures))

    async def _next(self) -> Outgoing | None:
        now = self._clock()
        collects = self._collects_until is not None and now < self._collects_until
        quiet = self.timing.held_until(now) is not None  # what is late stays quiet, too
        one = await self._state.next(
            self.channel, now, Pull(self._sender.chat, self._sender.most_due, urgent_only=collects or quiet)
        )
        if one is not None and one.folded:
            self._collects_until = now + self._collect
        return one

    async def _send(self, one: Outgoing) -> bool:
        try:
            posted = await self._sender.send(one.message, one.before)
        except NotSent as error:
            await self._failed(one, error)
            return False
        await self._state.sent(one, self._clock(), posted)
        return True

    async def _failed(self, one: Outgoing, error: NotSent) -> None:
        now = self._clock()
        about = {"channel": self.channel, "notice": one.message.id, "error": str(error)}
        if error.final or now - one.first_try_at >= self._try_for:
            log.error("notice given up: `towpath notifier replay` sends it again", **about)
            await self._state.failed(one, now, str(error), None)
            return
        pause = self._retry.after(one.tries + 1) * random.uniform(1.0, 1.0 + JITTER)
        pause = max(pause, error.retry_after)
        again_at = now + timedelta(seconds=pause)
        if not one.urgent:
            again_at = self.timing.held_until(again_at) or again_at
        log.warning("notice not sent, will be tried again", tries=one.tries + 1, **about)
        await self._state.failed(one, now, str(error), again_at, unsure=error.unsure)
