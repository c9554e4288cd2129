"""A notifier that is killed at one step of a send: `python -m … NATS_URL DATABASE_URL HOOK_URL STEP`.

The signal comes from within, since only then it comes exactly at that step; it is SIGKILL all the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import datetime

from adapters.notices.store import SqlNoticeState
from domain.ports.notices import ANY, Outgoing, Posted, Pull, Step
from projections.lock_view import FoldedLockView
from tests.integration.projections.notices.harness import NotifierParts, open_state_database, rule
from tests.support.log_harness import jetstream_harness
from tests.support.memory_store import MemorySnapshots
from tests.support.nats import connect

STEPS = ("recording", "recorded", "marking", "marked", "answered", "settled")


class DyingState(SqlNoticeState):
    """Kills this process before or after a change."""

    step = ""

    def _at(self, step: str) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)

    async def record(self, step: Step) -> None:
        """Killed before and after a step with notices."""
        if step.notices:
            self._at("recording")
        await super().record(step)
        if step.notices:
            self._at("recorded")

    async def next(self, channel: str, now: datetime, pull: Pull = ANY) -> Outgoing | None:
        """Killed before anything is marked as being sent, and after."""
        self._at("marking")
        one = await super().next(channel, now, pull)
        if one is not None:
            self._at("marked")
        return one

    async def sent(self, one: Outgoing, now: datetime, posted: Posted | None = None) -> None:
        """Killed after the answer, and after it is recorded."""
        self._at("answered")
        await super().sent(one, now, posted)
        self._at("settled")


async def main(nats_url: str, database_url: str, hook_url: str, step: str) -> None:
    """Run until killed."""
    connection = await connect(nats_url)
    log = jetstream_harness(connection, grouped=False)
    view = FoldedLockView(log.reader, MemorySnapshots())
    state = DyingState(await open_state_database(database_url), f"dying-{step}")
    parts = NotifierParts(connection, log, view, {"ops": hook_url})
    notifier = parts.notifier(state, [rule("failed")], take_over_seconds=0.5)
    running = asyncio.create_task(notifier.run())
    while (seen := await state.standing()).owner != f"dying-{step}":
        await asyncio.sleep(0.01)
    while await state.standing() == seen:  # it beats once it has begun
        await asyncio.sleep(0.01)
    state.step = step
    sys.stdout.write("works\n")
    sys.stdout.flush()
    await running


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
