"""Observer: finds what the log does not hold: silent runners, locks kept for an operator, dead letters.

Runners are judged as for people, by the times of their last heartbeats and this process's clock; the watchdog
ends attempts. A `towpath lock` is no runner here: what it ran ends, and that is an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from domain.errors import Busy
from domain.identifiers import LogSeq, RunnerId, TaskId, check_task_id
from domain.locks.claims import Key
from domain.notices.rules import (
    AWAITING_OPERATOR,
    DEAD_LETTER,
    RUNNER_LOST,
    RUNNER_SUSPECTED,
    Fact,
    Subject,
    Trigger,
)
from domain.notices.watches import Watch, Watches, milliseconds
from domain.ports.lock_view import LockView
from domain.ports.runners import Heartbeats
from domain.protocol import Heartbeat
from domain.runners.liveness import Beat, LeaseTerms, state_of_holder
from domain.runners.runner_key import takes_itself
from domain.services.dead_letters import DeadLetters
from projections.notices.teller import Teller, Told

LETTERS_AT_ONCE = 100


class Observer:
    """Looks again whenever it is asked to."""

    def __init__(
        self, heartbeats: Heartbeats, view: LockView, letters: DeadLetters, terms: LeaseTerms
    ) -> None:
        self._heartbeats = heartbeats
        self._view = view
        self._letters = letters
        self._terms = terms
        self._beats: dict[RunnerId, Heartbeat] = {}
        self._locks_from: LogSeq | None = None
        """Locks are not judged before the view has folded this: until then they are those of the past."""

    def begin(self, last: LogSeq) -> None:
        """The log ended at `last` when its notifier began to work."""
        self._locks_from = last

    def beat_of(self, watch: Watch) -> Heartbeat | None:
        """The last known heartbeat of the runner that the watch is about."""
        return self._beats.get(watch.runner_id) if watch.runner_id is not None else None

    async def runners(self, teller: Teller, watches: Watches, now: datetime) -> list[Watch]:
        """Open the watches of what is so now; the watches that this ends and that were told."""
        if not teller.rules.wants(RUNNER_SUSPECTED, RUNNER_LOST, AWAITING_OPERATOR):
            return []
        try:
            recent = await self._heartbeats.recent()
        except Busy:
            return []  # unknown is neither silent nor recovered
        ended = list[Watch]()
        runners = {RunnerId(one): beats[-1] for one, beats in recent.items() if not takes_itself(one)}
        for runner_id, (beat, at) in runners.items():
            self._beats[runner_id] = beat
            ended += watches.seen(runner_id, self._terms.state(at, now), at)
        for runner_id in watches.runners - set(runners):
            ended += watches.seen(runner_id, None, now)
        for runner_id in set(self._beats) - set(runners):
            del self._beats[runner_id]
        if teller.rules.wants(AWAITING_OPERATOR) and await self._knows_locks():
            ended += watches.kept(self._kept(recent, now), now)
        return ended

    async def _knows_locks(self) -> bool:
        if self._locks_from is not None and await self._view.caught_up(self._locks_from, 0.0):
            self._locks_from = None
        return self._locks_from is None

    def _kept(self, recent: Mapping[str, Sequence[Beat]], now: datetime) -> dict[Key, RunnerId]:
        """Attempts with a kept lock: their runner is lost, and `on_runner_lost` is `hold`."""
        found = dict[Key, RunnerId]()
        for workspace in (one.id for one in self._view.registrations() if one.on_runner_lost == "hold"):
            for grant in self._view.holders(workspace):
                if grant.runner_id is None:
                    continue
                bound_at = datetime.fromisoformat(grant.bound_at or grant.since)
                beats = recent.get(grant.runner_id, ())
                if state_of_holder(beats, grant.instance, bound_at, now, self._terms) == "lost":
                    found[grant.claim.key] = grant.runner_id
        return found

    async def letters(self, teller: Teller, after: int) -> tuple[int, list[Told]]:
        """The dead letters after sequence `after`: the last one seen, and what is told of them."""
        if not teller.rules.wants(DEAD_LETTER):
            return after, []
        told = list[Told]()
        for letter in await self._letters.page(after, LETTERS_AT_ONCE):
            after = letter.seq
            subject = None
            with suppress(ValueError):
                subject = await teller.subject_of(TaskId(check_task_id(letter.subject_id)))
            fact = Fact(
                f"{DEAD_LETTER}_{letter.seq}_{milliseconds(letter.at)}",
                Trigger(DEAD_LETTER),
                letter.at,
                (subject or Subject(),),
            )
            detail = f"{letter.kind} of {letter.subject_id}: {letter.reason}; see `towpath dead {letter.seq}`"
            told.append(await teller.of_dead_letter(fact, detail))
        return after, told

    async def last_letter(self) -> int:
        """The sequence of the newest dead letter."""
        return await self._letters.last_seq()
