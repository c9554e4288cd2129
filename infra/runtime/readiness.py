"""`/readyz`: the state of each part of an API process.

A part is `ok`, or its text names the fault and where to look. All parts are checked at the same time, within
ANSWER_SECONDS. A follower of the log is behind if it is far from the end, or if it has not moved for
STILL_SECONDS although there are more events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from domain.errors import Busy

OK = "ok"
ANSWER_SECONDS = 2.0
LAG_EVENTS = 10_000
STILL_SECONDS = 30.0
LOOK_SECONDS = 0.05
_LOG_SILENT = "not known: the log does not answer"

Number = Callable[[], Awaitable[int]]


class Behind:
    """How far a follower of the log is behind, and whether it still makes progress."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seq = -1
        self._since = 0.0

    def said(self, seq: int, last: int) -> str:
        """`ok`, or how far and for how long `seq` has been behind `last`."""
        behind = last - seq
        if seq != self._seq or behind <= 0:
            self._seq, self._since = seq, self._clock()
        still = self._clock() - self._since
        if behind < LAG_EVENTS and still < STILL_SECONDS:
            return OK
        stands = f", and has not moved for {still:.0f} s" if still >= STILL_SECONDS else ""
        return f"{behind} events behind{stands}"


class Readiness:
    """Checks the parts of one API process."""

    def __init__(
        self,
        *,
        connected: Callable[[], bool],
        last_seq: Number,
        view_seq: Callable[[], int],
        applied_seq: Number,
        intake: Callable[[], bool],
    ) -> None:
        self._connected = connected
        self._last_seq = last_seq
        self._view_seq = view_seq
        self._applied_seq = applied_seq
        self._intake = intake
        self._view = Behind()
        self._model = Behind()

    async def __call__(self) -> dict[str, str]:
        """By part: `ok`, or the fault."""
        (last, log), (applied, database) = await asyncio.gather(self._log(), self._database())
        found = {
            "nats": OK if self._connected() else "not connected; is the NATS server up?",
            "log": log,
            "locks": _LOG_SILENT if last is None else self._view.said(self._view_seq(), last),
            "read-model": database,
            "reports": OK if self._intake() else "reports over NATS are not taken: not connected",
        }
        if applied is not None:
            found["read-model"] = _LOG_SILENT if last is None else self._behind(applied, last)
        return found

    def _behind(self, applied: int, last: int) -> str:
        said = self._model.said(applied, last)
        return said if said == OK else f"{said}; is a projector running (--only read-model)?"

    async def _log(self) -> tuple[int | None, str]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._last_seq(), OK
        except (Busy, TimeoutError):
            return None, "stream TOWPATH does not answer; is it there, and does it have a leader?"

    async def _database(self) -> tuple[int | None, str]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._applied_seq(), OK
        except TimeoutError:
            return None, "the database does not answer; check TOWPATH_DATABASE_URL"
        except Busy as error:
            return None, error.detail


async def wait_until_ready(
    readiness: Callable[[], Awaitable[dict[str, str]]], given_up: asyncio.Event
) -> None:
    """Return once every part is ok, or when `given_up` is set."""
    while not given_up.is_set() and set((await readiness()).values()) != {OK}:
        with suppress(TimeoutError):
            await asyncio.wait_for(given_up.wait(), LOOK_SECONDS)
