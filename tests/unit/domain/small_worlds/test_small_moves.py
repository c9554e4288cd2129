"""Workspaces that move under their tasks, in every order; and each rule left out leads to what it is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.locks import table as locks
from domain.locks.claims import VoidClaim
from domain.locks.judging import Judge, Void
from domain.locks.lock_facts import grant_fact
from domain.locks.table import LockTable
from domain.log.record import Recorded
from domain.workspaces.paths import roots_overlap
from tests.unit.domain.small_worlds.exploring import explore
from tests.unit.domain.small_worlds.small_moves import Moves, Task

REPORTED = ((0, "/b"), (1, "/a"))
"""The held workspace moves away, and another takes its directory."""
NARROWED = ((0, "/a/x"), (1, "/a/y"))
BACK = ((0, "/b"), (0, "/a"))

WORLDS: dict[str, tuple[Callable[[], Moves], int]] = {
    "the reported moves": (lambda: Moves(Task(0), Task(1), puts=REPORTED), 4_000),
    "a narrowed root": (lambda: Moves(Task(0), Task(1), puts=NARROWED), 4_000),
    "a removal": (lambda: Moves(Task(0), Task(1), puts=((1, "/a"),), registrations=1, removals=1), 1_000),
    "one rejects, the root comes back": (
        lambda: Moves(Task(0, (), "reject"), Task(0), puts=BACK), 2_000,
    ),
    "disjoint paths": (lambda: Moves(Task(0, ("x",)), Task(0, ("y",)), puts=BACK), 2_000),
    "facts folded ahead": (lambda: Moves(Task(0), puts=REPORTED, ahead=True), 1_500),
}  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
def test_every_order_keeps_every_promise(name: str) -> None:
    world, at_least = WORLDS[name]
    found = explore(world(), limit=150_000)
    assert found.broken == {}
    assert found.states >= at_least
    assert found.resting > 0


# ---------------------------------------------------------------- rules left out


class OnlyOverlap(Judge):
    """What there was before: registrations are judged among themselves, claims by nobody."""

    def would_be_void(self, workspace: str, root: str | None, **told: Any) -> Void | None:
        void = super().would_be_void(workspace, root, **told)
        return void if void is not None and void.reason == "root-overlap" else None

    def _fold_dispatched(self, event: Recorded) -> Void | None:
        Opens.open(self, event)
        return None


class Opens(Judge):
    """A dispatch under whatever root opens its claim."""

    def open(self, event: Recorded) -> None:
        key = (event.subject_id, event.data["attempt"])
        self._open.setdefault(event.data["workspace"], {})[key] = False
        self._where[key] = event.data["workspace"]

    def _fold_dispatched(self, event: Recorded) -> Void | None:
        Opens.open(self, event)
        return None


class Leaves(Judge):
    """A removal counts at any time."""

    def would_be_void(self, workspace: str, root: str | None, **told: Any) -> Void | None:
        return None if root is None else super().would_be_void(workspace, root, **told)


class MovesFreely(Judge):
    """A workspace moves at any time."""

    def would_be_void(self, workspace: str, root: str | None, **told: Any) -> Void | None:
        void = super().would_be_void(workspace, root, **told)
        return void if root is None or (void is not None and void.reason == "root-overlap") else None


class Narrows(Judge):
    """A root may become narrower at any time."""

    def would_be_void(self, workspace: str, root: str | None, **told: Any) -> Void | None:
        void = super().would_be_void(workspace, root, **told)
        inside = void is not None and root is not None and root.startswith(f"{void.valid_root}/")
        return None if inside and void is not None and void.reason == "workspace-in-use" else void


class Overlaps(Judge):
    """Two workspaces may have one root."""

    def would_be_void(self, workspace: str, root: str | None, **told: Any) -> Void | None:
        void = super().would_be_void(workspace, root, **told)
        return None if void is not None and void.reason == "root-overlap" else void


class ClosesWithTheEnd(Judge):
    """What was granted and has ended counts as closed before its release."""

    def fold(self, event: Recorded) -> Void | None:
        void = super().fold(event)
        key = (event.subject_id, event.attempt or 0)
        if event.event == "succeeded" and key in self._where:
            self._close(key)
        return void


class IgnoresWaiters(Judge):
    """Only what holds keeps a workspace where it is."""

    def would_be_void(self, workspace: str, root: str | None, **told: Any) -> Void | None:
        void = super().would_be_void(workspace, root, **told)
        held = any(self._open.get(workspace, {}).values())
        return void if void is None or void.reason == "root-overlap" or held else None


class FreezesSettings(Judge):
    """Nothing about a workspace in use may change, not even to what it is."""

    def would_be_void(self, workspace: str, root: str | None, **told: Any) -> Void | None:
        void = super().would_be_void(workspace, root, **told)
        if void is None and workspace in self._open:
            return Void(0, "registered", workspace, root, "", "", "workspace-in-use", root)
        return void


class ComparesSequences(Judge):
    """The registration counts, and not its root: here, whether there was another one in between."""

    def _fold_registration(self, event: Recorded) -> Void | None:
        void = super()._fold_registration(event)
        if void is None and event.event == "registered" and event.subject_id in self._open:
            for key in self.open_claims(event.subject_id):
                self._close(key)
        return void


class Forgets(Judge):
    """A snapshot without the registrations."""

    def snapshot(self) -> dict[str, Any]:
        return {**super().snapshot(), "registrations": []}


@pytest.mark.parametrize(
    ("judge", "puts", "removals", "promise"),
    [
        (OnlyOverlap, REPORTED, 0, "a: two hold"),
        (OnlyOverlap, NARROWED, 0, "a: two hold"),
        (Opens, REPORTED, 0, "a: two hold"),
        (Leaves, ((1, "/a"),), 1, "a: two hold"),
        (MovesFreely, REPORTED, 0, "a: two hold"),
        (Narrows, NARROWED, 0, "a: two hold"),
        (Overlaps, REPORTED, 0, "a: two hold"),
        (ClosesWithTheEnd, REPORTED, 0, "v: registered is judged valid"),
        (IgnoresWaiters, REPORTED, 0, "a: two hold"),
        (FreezesSettings, ((0, "/a"),), 0, "v: registered is judged void"),
        (ComparesSequences, ((0, "/a"), (0, "/b"), (1, "/a")), 0, "a: two hold"),
        (Forgets, REPORTED, 0, "v: dispatched is judged void"),
    ],
)
def test_a_rule_left_out_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    judge: type[Judge],
    puts: tuple[tuple[int, str], ...],
    removals: int,
    promise: str,
) -> None:
    monkeypatch.setattr(locks, "Judge", judge)
    plain = promise.startswith("v")
    world = Moves(Task(0), Task(1), puts=puts, registrations=len(puts), removals=removals, plain=plain)
    assert_caught(world, promise)


class OwnFactsInTheJudge(LockTable):
    """Judges what stands in front of its own fact as if the fact stood there already."""

    def fold_own(self, event: Recorded) -> None:
        super().fold_own(event)
        self.judge.fold(event)


class RefusesRejectingOnesOnly(LockTable):
    """A void claim that wants to wait is left alone."""

    def decide(self, workspace: str) -> Any:
        found = self._workspaces.get(workspace)
        if found is None:
            return None
        kept, found.void = found.void, _rejecting(found.void)
        try:
            return super().decide(workspace)
        finally:
            found.void = kept


class ForgetsRefusals(LockTable):
    """A snapshot without the refusals that are owed."""

    def snapshot(self) -> dict[str, Any]:
        state = super().snapshot()
        for one in state["workspaces"].values():
            one["void"] = []
        return state


class GrantsVoidOnes(LockTable):
    """Takes a void claim for one that waits."""

    def decide(self, workspace: str) -> Any:
        locks = self._workspaces.get(workspace)
        for void in locks.void.values() if locks is not None else ():
            return grant_fact(locks, void.claim, self.seq)
        return super().decide(workspace)


def _rejecting(void: dict[Any, VoidClaim]) -> dict[Any, VoidClaim]:
    return {key: one for key, one in void.items() if one.claim.on_conflict == "reject"}


@pytest.mark.parametrize(
    ("table", "ahead", "promise"),
    [
        (OwnFactsInTheJudge, True, "w: registered is judged otherwise"),
        (RefusesRejectingOnesOnly, False, "b: void and never refused"),
        (ForgetsRefusals, False, "b: void and never refused"),
        (GrantsVoidOnes, False, "g: granted though void"),
    ],
)
def test_a_wrong_table_is_caught(table: type[LockTable], ahead: bool, promise: str) -> None:
    assert_caught(Moves(Task(0), puts=REPORTED, ahead=ahead, table_type=table), promise)


def assert_caught(world: Moves, promise: str) -> None:
    found = explore(world, limit=150_000, until=promise)
    assert any(text.startswith(promise) for text in found.broken), found.broken


def test_overlap_is_that_of_components() -> None:
    """The worlds judge by strings, and the product by components: both know neighbours from children."""
    assert roots_overlap("/a", "/a/x")
    assert not roots_overlap("/a", "/ab")
