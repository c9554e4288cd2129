"""Quarantine of invalid heartbeats: kept as dead letters with the reason.

A bad heartbeat blocks nothing: the next one replaces it, and the watchdog judges by those it can read. But a
runner with unusable heartbeats believes that it holds a lease which the control plane does not see, and two
runners under one id make each other's attempts look forgotten. A faulty runner sends one every few seconds,
or a thousand a second. Therefore at most one letter per runner and reason is kept at a time, and at most
MOST_LETTERS in all. After an operator drops a letter, the next one is kept. These letters never displace
other dead letters.

Delivery: at most once, to every inspector in the same order. All inspectors keep the same letter, which is
stored once. A heartbeat lost in a crash does no harm: the next one shows the same fault.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import structlog

from domain.errors import Refused
from domain.protocol import Heartbeat
from domain.runners.heartbeat_validation import ArrivedBeat, Fault, examine_beat
from domain.runners.liveness import check_counter
from domain.services.dead_letters import HEARTBEAT, DeadLetters

MOST_LETTERS = 100
LETTER_BYTES = 4096
QUIET_SECONDS = 30.0
"""How long the kept letters are not read again for the same runner and reason."""
REMEMBERED = 10_000

log = structlog.get_logger(__name__)


class HeartbeatQuarantine:
    """One inspector; any number may run."""

    def __init__(
        self,
        letters: DeadLetters,
        *,
        most_letters: int = MOST_LETTERS,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._letters = letters
        self._most_letters = most_letters
        self._quiet_seconds = quiet_seconds
        self._last: OrderedDict[tuple[str, str | None], Heartbeat] = OrderedDict()
        self._quiet_until: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._full_until = 0.0

    async def handle(self, arrived: ArrivedBeat) -> None:
        """Check a heartbeat, and keep an invalid one as a dead letter. Raises what `DeadLetters` raises."""
        found = examine_beat(arrived)
        fault = found if isinstance(found, Fault) else self._went_back(arrived, found)
        if fault is not None:
            await self._keep(arrived, fault)

    def _went_back(self, arrived: ArrivedBeat, beat: Heartbeat) -> Fault | None:
        """The fault if the previous heartbeat of the same instance had a higher counter; else None."""
        key = (arrived.runner_id, beat.instance)
        last = self._last.get(key)
        self._last[key] = beat.model_copy(update={"held": []})
        self._last.move_to_end(key)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        try:
            check_counter(beat, last)
        except Refused as refusal:
            return Fault(refusal.code, refusal.detail)
        return None

    async def _keep(self, arrived: ArrivedBeat, fault: Fault) -> None:
        now, key = asyncio.get_running_loop().time(), (arrived.runner_id, fault.reason)
        if now < self._full_until or now < self._quiet_until.get(key, 0.0):
            return
        standing = await self._letters.page(0, self._most_letters, HEARTBEAT)
        if len(standing) >= self._most_letters:
            log.warning("no room for more dead letters about heartbeats; see `towpath dead --kind heartbeat`")
            self._full_until = now + self._quiet_seconds
            return
        if not any((one.subject_id, one.reason) == key for one in standing):
            await self._letters.keep(
                HEARTBEAT,
                arrived.runner_id,
                arrived.body[:LETTER_BYTES],
                fault.reason,
                fault.detail + _cut(arrived.body),
                source=arrived.source,
            )
            log.warning(
                "a runner sends heartbeats that cannot be used",
                runner_id=arrived.runner_id, reason=fault.reason, detail=fault.detail,
            )  # fmt: skip
        self._quiet_until[key] = now + self._quiet_seconds
        self._quiet_until.move_to_end(key)
        if len(self._quiet_until) > REMEMBERED:
            self._quiet_until.popitem(last=False)


def _cut(body: bytes) -> str:
    return f" (the first {LETTER_BYTES} of its {len(body)} bytes)" if len(body) > LETTER_BYTES else ""
