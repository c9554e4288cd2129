"""Every order of a submission, a stopping runner, its lease and the watchdog ends the attempt, and safely."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from domain.protocol import Heartbeat
from domain.runners.liveness import LeaseTerms
from domain.task.aggregate import Task
from tests.unit.domain.small_worlds.exploring import explore
from tests.unit.domain.small_worlds.small_goodbyes import (
    DELAY,
    LEASE,
    TERMS,
    Around,
    Beat,
    GoodbyeWorld,
    State,
)

LIMIT = 60_000
Seen = tuple[Heartbeat, datetime] | None


def test_every_order_ends_the_attempt_and_frees_no_lock_under_a_process() -> None:
    found = explore(GoodbyeWorld(), limit=LIMIT)
    assert found.broken == {}
    assert found.states > 5_000
    assert found.resting > 0


class LeaseOfTheAnswer(GoodbyeWorld):
    """The runner counts its lease from the acknowledgement."""

    def leased_until(self, beat: Beat, acknowledged: int) -> int:
        return acknowledged + DELAY + LEASE


class NoGrace(GoodbyeWorld):
    """The watchdog leaves no time for killing processes."""

    def terms(self) -> LeaseTerms:
        return LeaseTerms(TERMS.lease, timedelta(0))


class _AtOnce(Around):
    async def last(self, *_: object, **__: object) -> Seen:
        beat, at = await super().last()
        return beat, at - TERMS.lost_after if beat.leaving else at


class LeftIsLost(GoodbyeWorld):
    """The watchdog ends at once what a runner had that has left."""

    def around(self, state: State, task: Task) -> Around:
        return _AtOnce(state, task)


class LeavesItsProcess(LeftIsLost):
    """The runner says goodbye while a process of its runs, and is believed."""

    def may_leave(self, state: State) -> bool:
        return True


class ForgetsTheLiving(LeftIsLost):
    """An operator may forget a runner that lives, and is believed."""

    def forgettable(self, state: State) -> bool:
        return True


class _LeftIsUnknown(Around):
    async def last(self, *_: object, **__: object) -> Seen:  # type: ignore[override]
        found = await super().last()
        return None if found[0].leaving else found


class GoneIsNeverLost(GoodbyeWorld):
    """The watchdog does not know runners that have left."""

    def around(self, state: State, task: Task) -> Around:
        return _LeftIsUnknown(state, task)


@pytest.mark.parametrize(
    ("world", "promise"),
    [
        (LeaseOfTheAnswer, "lock"),
        (NoGrace, "lock"),
        (LeavesItsProcess, "lock"),
        (ForgetsTheLiving, "lock"),
        (GoneIsNeverLost, "end"),
    ],
)
def test_a_planted_fault_is_found(world: type[GoodbyeWorld], promise: str) -> None:
    found = explore(world(), limit=LIMIT, until=promise)
    assert any(text.startswith(promise) for text in found.broken), found.broken
