"""Every order of events in several small worlds keeps every promise; and planted bugs do not pass.

Several small worlds rather than one large: each adds one or two kinds of trouble. The number of states
is pinned from below, so that a world that shrinks by mistake is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import refused
from domain.locks.claims import LockFact
from domain.locks.lock_facts import grant_fact, refusal_fact
from domain.locks.table import LockTable
from domain.log.events import CreatedData
from domain.log.record import Recorded
from domain.protocol import Report
from domain.task import aggregate, event_data
from domain.task.aggregate import Task
from domain.task.transitions import Input, Status
from tests.unit.domain.samples import created_data
from tests.unit.domain.small_worlds.exploring import explore
from tests.unit.domain.small_worlds.small_locks import AnyLag, Tables, TwoProjectors
from tests.unit.domain.small_worlds.small_state import Setting
from tests.unit.domain.small_worlds.small_world import SmallWorld

E = created_data(lock_paths=[])
S = created_data(lock_paths=["src"], lock_mode="shared")
R = created_data(lock_paths=["src"], on_conflict="reject")
SRC = created_data(lock_paths=["src"])
API = created_data(lock_paths=["src/api"])
FREE = created_data(workspace=None, lock_paths=[])
Deciders = Callable[[Tables], AnyLag | TwoProjectors]


def any_lag(tables: Tables) -> AnyLag:
    return AnyLag(tables)


def ahead(tables: Tables) -> AnyLag:
    return AnyLag(tables, ahead=True)


def system(*specs: CreatedData, attempts: tuple[int, ...], **trouble: Any) -> Setting:
    return Setting(specs, attempts, **trouble)


def locks_only(*specs: CreatedData, attempts: tuple[int, ...], **trouble: Any) -> Setting:
    return Setting(specs, attempts, ends=True, **trouble)


WORLDS: dict[str, tuple[Setting, Deciders, int]] = {
    "cancel, release by hand": (system(SRC, API, attempts=(1, 1), cancels=1, hands=1), any_lag, 15_000),
    "cancel, sent twice": (system(SRC, API, attempts=(1, 1), cancels=1, resends=1), any_lag, 3_500),
    "release by hand before a slow start": (
        system(E, E, attempts=(1, 1), cancels=1, hands=1, slow_start=True), any_lag, 15_000,
    ),
    "two attempts, cancel": (system(SRC, API, attempts=(2, 1), cancels=1), any_lag, 7_000),
    "two attempts, release by hand": (system(E, E, attempts=(2, 1), hands=1), any_lag, 25_000),
    "two attempts each, a runner dies": (system(E, E, attempts=(2, 2), deaths=1), any_lag, 25_000),
    "reject, two attempts, cancel": (system(R, R, attempts=(2, 1), cancels=1), any_lag, 10_000),
    "exclusive and shared, cancel, a runner dies": (
        system(E, S, attempts=(1, 1), cancels=1, deaths=1), any_lag, 3_000,
    ),
    "two runners, sent twice, one dies": (
        system(E, E, attempts=(1, 1), runners=2, resends=1, deaths=1), any_lag, 15_000,
    ),
    "two runners, cancel, sent twice, one dies": (
        system(E, attempts=(1,), runners=2, resends=1, cancels=1, deaths=1), any_lag, 2_500,
    ),
    "no workspace, two runners, cancel, sent twice": (
        system(FREE, attempts=(2,), runners=2, resends=1, cancels=1), any_lag, 7_000,
    ),
    "locks: reject, facts folded ahead": (locks_only(R, R, attempts=(1, 1), cancels=2), ahead, 500),
    "locks: reader, writer, reader": (locks_only(S, E, S, attempts=(1, 1, 1), cancels=2), any_lag, 4_000),
    "locks: two readers, facts folded ahead": (locks_only(S, S, attempts=(1, 1), cancels=2), ahead, 500),
    "locks: release by hand, facts folded ahead": (
        locks_only(E, E, attempts=(1, 1), cancels=1, hands=1), ahead, 1_000,
    ),
    "locks: two projectors, wait and reject": (locks_only(E, R, attempts=(1, 1)), TwoProjectors, 15_000),
    "locks: two projectors, one crashes": (
        locks_only(E, attempts=(1,), cancels=1), lambda tables: TwoProjectors(tables, crashes=2), 500,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
def test_every_order_keeps_every_promise(name: str) -> None:
    setting, deciders, at_least = WORLDS[name]
    found = explore(SmallWorld(setting, deciders(Tables(setting.specs))), limit=150_000)
    assert found.broken == {}
    assert found.states >= at_least
    assert found.resting > 0


def test_the_reduction_and_the_projectors_spelled_out_agree() -> None:
    """Both ways to decide lead to the same tasks and marks at rest."""
    setting = locks_only(E, attempts=(2,), cancels=1)
    resting = []
    for deciders in (any_lag, TwoProjectors):
        world = Noting(setting, deciders(Tables(setting.specs)))
        assert explore(world, limit=150_000).broken == {}
        resting.append(world.noted)
    assert resting[0] == resting[1]
    assert len(resting[0]) > 5


class Noting(SmallWorld):
    """Remembers what the world can come to rest in, whoever decided."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.noted: set[Any] = set()

    def at_rest(self, state: Any) -> Any:
        truth = self.locks.truth(state.locks)
        held = tuple(one[:2] for one in truth.held)
        self.noted.add((state.tasks, state.marks, held, tuple(one[:2] for one in truth.waiting)))
        return super().at_rest(state)


# ---------------------------------------------------------------- planted bugs


class GrantsOnArrival(LockTable):
    """Looks at nobody else."""

    def decide(self, workspace: str) -> LockFact | None:
        locks = self._workspaces[workspace]
        for claim in locks.waiting.values():
            return grant_fact(locks, claim, self.seq)
        return super().decide(workspace)


class Overtakes(LockTable):
    """Looks at holders only: a late reader passes a waiting writer."""

    def decide(self, workspace: str) -> LockFact | None:
        locks = self._workspaces[workspace]
        for claim in locks.waiting.values():
            if not any(claim.conflicts(grant.claim) for grant in locks.holders.values()):
                return grant_fact(locks, claim, self.seq)
        return super().decide(workspace)


class ReleasesWhenAskedToCancel(LockTable):
    """Takes the request for the end."""

    def fold(self, event: Recorded) -> str | None:
        changed = super().fold(event)
        grant = self.grant(event.subject_id, event.attempt or 0)
        if event.event == "cancel-requested" and grant is not None:
            event.event = "canceled"
            return self._fold_task(event)
        return changed


class KeepsVoidGrants(LockTable):
    """Owes a release only for an end that it folds while the claim holds."""

    def _hold(self, locks: Any, key: Any, event: Recorded) -> None:
        super()._hold(locks, key, event)
        locks.holders[key].owed = None


class RefusesTooEarly(LockTable):
    """Refuses before it has released what is owed."""

    def decide(self, workspace: str) -> LockFact | None:
        locks = self._workspaces[workspace]
        for claim in locks.waiting.values():
            held = any(claim.conflicts(grant.claim) for grant in locks.holders.values())
            if claim.on_conflict == "reject" and held:
                return refusal_fact(locks, claim, self.seq)
        return super().decide(workspace)


class ForgetsEnds(LockTable):
    """Remembers what ended while waiting only until the next lock fact."""

    def _fold_lock(self, event: Recorded) -> str | None:
        changed = super()._fold_lock(event)
        self._workspaces[event.subject_id].ended.clear()
        return changed


@pytest.mark.parametrize(
    ("table", "setting", "deciders", "promise"),
    [
        (GrantsOnArrival, locks_only(E, E, attempts=(1, 1)), any_lag, "a: granted while"),
        (Overtakes, locks_only(S, E, S, attempts=(1, 1, 1)), any_lag, "a: fifo"),
        (ReleasesWhenAskedToCancel, system(E, attempts=(1,), cancels=1), any_lag, "f: released by canceled"),
        (KeepsVoidGrants, system(E, attempts=(1,), cancels=1), any_lag, "b: held though"),
        (RefusesTooEarly, locks_only(E, R, attempts=(1, 1)), any_lag, "g: refused because"),
        (ForgetsEnds, locks_only(S, S, attempts=(1, 1), cancels=1), ahead, "f: a table that folded"),
    ],
)
def test_a_wrong_lock_table_is_caught(
    table: type[LockTable], setting: Setting, deciders: Deciders, promise: str
) -> None:
    assert_caught(SmallWorld(setting, deciders(Tables(setting.specs, table))), promise)


def test_an_append_that_compares_with_the_logs_end_is_caught() -> None:
    setting = locks_only(E, E, attempts=(1, 1))
    world = SmallWorld(setting, TwoProjectors(Tables(setting.specs), compare=False))
    assert_caught(world, "g: decided twice")


@pytest.mark.parametrize(
    ("setting", "promise"),
    [
        (system(E, attempts=(1,), cancels=1, gate=False), "d: a process starts though its attempt"),
        (system(E, E, attempts=(1, 1), cancels=1, gate=False), "e: two conflicting"),
        (system(E, attempts=(1,), runners=2, resends=1, gate=False), "h: an attempt runs twice"),
        (system(E, E, attempts=(1, 1), lease=False), "e: two conflicting"),
    ],
)
def test_a_runner_without_gate_or_lease_is_caught(setting: Setting, promise: str) -> None:
    assert_caught(SmallWorld(setting, any_lag(Tables(setting.specs))), promise)


def test_reports_that_are_taken_for_the_current_attempt_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "check_attempt", lambda task, report: None)
    setting = system(E, attempts=(2,))
    assert_caught(SmallWorld(setting, any_lag(Tables(setting.specs))), "c: ")


def test_findings_that_are_taken_for_the_current_attempt_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "is_open", lambda self, attempt, *statuses: self.status in statuses)
    setting = system(E, attempts=(2,))
    assert_caught(SmallWorld(setting, any_lag(Tables(setting.specs))), "c: submit-failed")


def test_attempts_that_are_not_bound_to_a_runner_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(task: Task, report: Report) -> None:
        if report.attempt != task.attempt:
            raise refused("stale-attempt")

    monkeypatch.setattr(aggregate, "check_attempt", check)
    setting = system(E, E, attempts=(1, 1), runners=2, resends=1, deaths=1)
    assert_caught(SmallWorld(setting, any_lag(Tables(setting.specs))), "e: two conflicting")


def test_a_cancel_that_frees_the_lock_under_a_process_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(self: Task, *, reason: str | None, at: Any, actor: str) -> None:
        if self.status in (Status.DISPATCHED, Status.QUEUED, Status.RUNNING):
            self._decide(
                Input.CANCELED, lambda: event_data.of_cancel(self, actor, reason, at), at=at, actor=actor
            )

    monkeypatch.setattr(Task, "cancel", cancel)
    setting = system(E, E, attempts=(1, 1), cancels=1)
    assert_caught(SmallWorld(setting, any_lag(Tables(setting.specs))), "e: two conflicting")


def assert_caught(world: SmallWorld, promise: str) -> None:
    found = explore(world, limit=150_000, until=promise)
    assert any(text.startswith(promise) for text in found.broken), found.broken
