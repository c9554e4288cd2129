"""The index of conflicts against the definition, in worlds that hypothesis makes; and what a change costs."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.locks.claims import Claim
from domain.locks.conflict_index import SPARE_PLACES, LockIndex
from domain.locks.table import LockTable
from domain.workspaces.paths import normalise_lock_paths
from tests.unit.domain.locks.lock_log import SPACE, LockLog, new_table, settle
from tests.unit.domain.locks.lock_naive import NaiveLocks, conflict

ROOT = "/srv/acme"
names = st.sampled_from(["a", "b", "ab", "a.b"])
paths = st.lists(st.lists(names, min_size=1, max_size=4).map("/".join), max_size=4)
modes = st.sampled_from(["exclusive", "exclusive", "shared"])
conflicts = st.sampled_from(["wait", "wait", "reject"])
roots = st.sampled_from([ROOT, ROOT, ROOT, "/srv/new"])
picks = st.integers(0, 1000)
BIG = 1_000_000


class Worlds(RuleBasedStateMachine):
    """Claims come, hold and go in any order, also in orders that no decider would make."""

    def __init__(self) -> None:
        super().__init__()
        self.naive = NaiveLocks()
        self.index = LockIndex()
        self.turn = 0
        self.number = 0

    def claim(self, number: int, wanted: list[str], mode: Any, on_conflict: Any, root: str) -> Claim:
        kept = tuple(normalise_lock_paths(wanted, root)) if wanted else ()
        return Claim(f"t{number % 8}", 1 + number // 8, SPACE, root, kept, mode, on_conflict, number, "")

    @rule(wanted=paths, mode=modes, on_conflict=conflicts, root=roots)
    def wait(self, wanted: list[str], mode: str, on_conflict: str, root: str) -> None:
        self.number += 1
        claim = self.claim(self.number, wanted, mode, on_conflict, root)
        self.naive.waiting[claim.key] = claim
        self.index.wait(claim)

    @precondition(lambda self: self.naive.waiting)
    @rule(pick=picks, wanted=paths, mode=modes)
    def wait_again(self, pick: int, wanted: list[str], mode: str) -> None:
        old = self.pick(self.naive.waiting, pick)
        number = old.seq
        claim = self.claim(number, wanted, mode, old.on_conflict, old.root)
        self.naive.waiting[claim.key] = claim
        self.index.wait(claim)

    @precondition(lambda self: self.naive.waiting)
    @rule(pick=picks)
    def hold(self, pick: int) -> None:
        self.grant(self.pick(self.naive.waiting, pick))

    @precondition(lambda self: self.index.next_candidate())
    @rule()
    def decide(self) -> None:
        candidate = self.naive.candidate()
        assert candidate is not None
        claim, blocked = candidate
        if not blocked:
            self.grant(claim)
            return
        del self.naive.waiting[claim.key]
        self.index.stop_waiting(claim.key)

    @rule(wanted=paths, mode=modes, root=roots)
    def hold_unasked(self, wanted: list[str], mode: str, root: str) -> None:
        self.number += 1
        self.grant(self.claim(self.number, wanted, mode, "wait", root))

    @precondition(lambda self: self.naive.waiting)
    @rule(pick=picks)
    def end(self, pick: int) -> None:
        claim = self.pick(self.naive.waiting, pick)
        del self.naive.waiting[claim.key]
        self.index.stop_waiting(claim.key)

    @precondition(lambda self: self.naive.holders)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        claim = self.pick(self.naive.holders, pick)
        del self.naive.holders[claim.key]
        self.index.release(claim.key)

    @rule()
    def pack(self) -> None:
        """Places move together by one step, as far as there is one."""
        if self.index._next_place > len(self.index._by_place):
            with patch("domain.locks.conflict_index.SPARE_PLACES", -BIG):
                self.index._pack()

    def grant(self, claim: Claim) -> None:
        self.turn += 1
        self.naive.waiting.pop(claim.key, None)
        self.naive.holders[claim.key] = claim
        self.index.hold(claim, self.turn)

    @staticmethod
    def pick(claims: dict[Any, Claim], number: int) -> Claim:
        return list(claims.values())[number % len(claims)]

    @invariant()
    def agrees(self) -> None:
        naive, index = self.naive, self.index
        assert index.next_candidate() == naive.candidate()
        for position, key in enumerate(naive.waiting, start=1):
            expected = naive.in_the_way(key)
            assert index.blockers(key, 100) == (expected, len(expected))
            assert index.blockers(key, 1) == (expected[:1], len(expected))
            assert index.position(key) == position

    @rule(wanted=paths, mode=modes, root=roots)
    def ask_for_a_holder_beside(self, wanted: list[str], mode: str, root: str) -> None:
        claim = self.claim(0, wanted, mode, "wait", root)
        expected = next((one for one in self.naive.holders.values() if conflict(claim, one)), None)
        assert self.index.holder_beside(claim) == expected

    def teardown(self) -> None:
        for key in list(self.naive.waiting):
            self.index.stop_waiting(key)
        for key in list(self.naive.holders):
            self.index.release(key)
        assert not self.index._by_root
        assert not self.index._by_place


TestWorlds = Worlds.TestCase
TestWorlds.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


# ---------------------------------------------------------------- cost


def steps(work: Callable[[LockLog, LockTable], object], log: LockLog, table: LockTable) -> int:
    """How many calls of Python functions and of built-in ones `work` makes."""
    count = 0

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        work(log, table)
    finally:
        sys.setprofile(None)
    return count


PATHS = 256


def crowd(waiters: int) -> tuple[LockLog, LockTable]:
    """One holder of `hot`, and waiters that want a part of it beside 255 paths of their own."""
    log, table = LockLog(), new_table()
    log.dispatched("holder", "hot")
    settle(log, table)
    for number in range(waiters):
        own = (f"part{number}/module{one}/file" for one in range(PATHS - 1))
        log.dispatched(f"waiter{number}", f"hot/{number}", *own)
    settle(log, table)
    return log, table


def lives_beside(log: LockLog, table: LockTable) -> None:
    """A claim on free paths in the same workspace, from `dispatched` to `released`."""
    log.dispatched("other", "free", "empty")
    assert settle(log, table) == ["granted other.1"]
    log.said("other", "succeeded")
    assert settle(log, table) == ["released other.1"]


@pytest.mark.parametrize(
    "work",
    [
        lives_beside,
        lambda log, table: table.decide(SPACE),
        lambda log, table: table.pending(),
        lambda log, table: table.waiter("waiter5", 1),
    ],
    ids=["a life beside them", "nothing due", "pending", "one waiter"],
)
def test_what_a_change_costs_does_not_grow_with_those_who_wait(
    work: Callable[[LockLog, LockTable], object],
) -> None:
    few, many = (steps(work, *crowd(size)) for size in (10, 300))
    assert few > 1
    assert many <= 1.5 * few


def test_one_more_waiter_costs_its_own_paths() -> None:
    def one_more(log: LockLog, table: LockTable) -> None:
        log.dispatched("late", *(f"late/module{one}/file" for one in range(PATHS)), "hot/late")
        assert settle(log, table) == []

    few, many = (steps(one_more, *crowd(size)) for size in (10, 300))
    assert few > PATHS
    assert many <= 1.5 * few


def test_a_hand_over_costs_those_whom_it_concerns() -> None:
    """The holder's end frees all of them: a bounded number of steps for each, not for each pair."""

    def end(log: LockLog, table: LockTable) -> None:
        log.said("holder", "succeeded")
        assert len(settle(log, table)) > 10

    few, many = (steps(end, *crowd(size)) for size in (30, 300))
    assert many <= 15 * few


def test_a_long_queue_for_the_whole_workspace_moves_on_by_a_bounded_number_of_steps_each() -> None:
    def queue(length: int) -> tuple[LockLog, LockTable]:
        log, table = LockLog(), new_table()
        for number in range(length):
            log.dispatched(f"t{number}")
        settle(log, table)
        return log, table

    def move(log: LockLog, table: LockTable) -> None:
        log.said("t0", "succeeded")
        assert settle(log, table) == ["released t0.1", "granted t1.1"]

    few, many = (steps(move, *queue(size)) for size in (30, 300))
    assert many <= 12 * few


def test_a_table_that_folds_has_its_index_before_anybody_asks() -> None:
    """Else the first question after a thousand claims would pay for all of them, on the event loop."""
    log, table = LockLog(), new_table()
    for number in range(100):
        log.dispatched(f"waiter{number}", *(f"part{number}/{one}" for one in range(PATHS)))
    for event in log.events[table.seq :]:
        table.fold(event)
    assert steps(lambda _, table: table.decide(SPACE), log, table) < PATHS
    restored = LockTable.restore(table.snapshot())
    restored.prepare()
    assert steps(lambda _, table: table.decide(SPACE), log, restored) < PATHS


def test_no_change_pays_for_moving_all_places_together() -> None:
    """Rewriting all digits of all masks at once took two hundred times as long as any other change."""
    worst, middle = min(_queue_that_moves_on(400) for _ in range(3))
    assert worst < 40 * middle


def _queue_that_moves_on(length: int) -> tuple[float, float]:
    """A queue of which each second claim stays: seconds of the longest change, and of the middle one."""
    index, spent = LockIndex(), list[float]()
    gc.disable()
    try:
        for number in range(2 * length + SPARE_PLACES + 100):
            started = time.thread_time()
            index.wait(_whole(number))
            if number >= length:
                index.stop_waiting(_whole(number // 2 * 2 - length if number % 2 else number - 1).key)
            spent.append(time.thread_time() - started)
    finally:
        gc.enable()
    assert index._next_place < 2 * length + SPARE_PLACES
    spent = sorted(spent[length:])
    return spent[-1], spent[len(spent) // 2]


def _whole(number: int) -> Claim:
    return Claim(f"t{number}", 1, SPACE, ROOT, (), "exclusive", "wait", number, "")
