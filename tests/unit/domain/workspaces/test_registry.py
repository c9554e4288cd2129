"""Registrations as a fold: the log's order settles which of two overlapping roots counts."""

from __future__ import annotations

import json
import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.locks.judging import Judge
from domain.log.events import RegisteredData, RemovedData
from domain.log.record import Recorded
from domain.workspaces.paths import roots_overlap
from domain.workspaces.registry import Registration, WorkspaceTable
from tests.unit.domain.samples import Journal, new_task


def register(journal: Journal, workspace: str, root: str, on_runner_lost: str = "fail") -> Recorded:
    data = RegisteredData(root=root, on_runner_lost=on_runner_lost, by="ann")
    return journal.append("workspace", workspace, "registered", data)


def remove(journal: Journal, workspace: str) -> Recorded:
    return journal.append("workspace", workspace, "removed", RemovedData(by="ann", reason=None))


def folded(journal: Journal) -> Judge:
    table = Judge()
    for event in journal.events:
        table.fold(event)
    return table


def roots(table: Judge) -> dict[str, str]:
    return {one.id: one.root for one in table.registrations}


@pytest.mark.parametrize("other", ["/srv/acme", "/srv/acme/api", "/srv", "/"])
def test_the_later_of_two_overlapping_roots_is_void(other: str) -> None:
    journal = Journal()
    register(journal, "one", "/srv/acme")
    register(journal, "two", other)
    assert roots(folded(journal)) == {"one": "/srv/acme"}


def test_neighbours_do_not_overlap() -> None:
    journal = Journal()
    register(journal, "one", "/srv/acme")
    register(journal, "two", "/srv/acme2")
    assert roots(folded(journal)) == {"one": "/srv/acme", "two": "/srv/acme2"}


def test_a_registration_says_what_made_it_so() -> None:
    journal = Journal()
    register(journal, "one", "/srv/acme")
    register(journal, "two", "/srv/other")
    changed = register(journal, "one", "/srv/acme/api", "hold")
    one = folded(journal).registrations.get("one")
    assert one is not None
    assert (one.root, one.on_runner_lost, one.seq, one.version) == ("/srv/acme/api", "hold", changed.seq, 2)


def test_a_void_change_keeps_the_registration_that_was() -> None:
    journal = Journal()
    first = register(journal, "one", "/srv/one")
    register(journal, "two", "/srv/two")
    register(journal, "one", "/srv/two/inside")
    one = folded(journal).registrations.get("one")
    assert one is not None
    assert (one.root, one.seq) == ("/srv/one", first.seq)


def test_removal_frees_the_root_for_later_registrations_only() -> None:
    journal = Journal()
    register(journal, "one", "/srv/acme")
    register(journal, "two", "/srv/acme")
    remove(journal, "one")
    assert roots(folded(journal)) == {}
    register(journal, "two", "/srv/acme")
    assert roots(folded(journal)) == {"two": "/srv/acme"}


def test_removing_what_is_void_or_unknown_changes_nothing() -> None:
    journal = Journal()
    register(journal, "one", "/srv/acme")
    register(journal, "two", "/srv/acme")
    remove(journal, "two")
    remove(journal, "three")
    assert roots(folded(journal)) == {"one": "/srv/acme"}


def test_overlapping_names_the_other_workspace_never_oneself() -> None:
    journal = Journal()
    register(journal, "one", "/srv/acme")
    table = folded(journal)
    assert table.registrations.overlapping("one", "/srv/acme") is None
    other = table.registrations.overlapping("two", "/srv")
    assert other is not None
    assert other.id == "one"


def test_other_events_change_nothing() -> None:
    journal = Journal()
    register(journal, "one", "/srv/acme")
    before = folded(journal).snapshot()
    journal.append_pending(new_task())
    journal.append("lock", "one", "granted", {"task_id": "t", "attempt": 1})
    assert folded(journal).snapshot() == before


steps = st.lists(
    st.tuples(
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["/a", "/a/b", "/b", "/c", None]),
    ),
    max_size=12,
)


@given(steps, st.integers(0, 12))
def test_valid_roots_never_overlap_and_every_fold_agrees(
    taken: list[tuple[str, str | None]], cut: int
) -> None:
    journal = Journal()
    once = Judge()
    for workspace, root in taken:
        event = remove(journal, workspace) if root is None else register(journal, workspace, root)
        once.fold(event)
        valid = list(once.registrations)
        assert not any(
            roots_overlap(one.root, other.root) for one in valid for other in valid if one.id != other.id
        )
    whole = folded(journal)
    assert once.snapshot() == whole.snapshot()
    half = Judge()
    for event in journal.events[:cut]:
        half.fold(event)
    restored = Judge.restore(json.loads(json.dumps(half.snapshot())))
    for event in journal.events[cut:]:
        restored.fold(event)
    assert restored.snapshot() == whole.snapshot()


def test_one_registration_is_not_compared_with_every_other_one() -> None:
    def registered(count: int) -> int:
        table = WorkspaceTable(
            Registration(f"w{number}", f"/srv/{number}", "fail", number, 1) for number in range(count)
        )
        calls = 0

        def called(frame: FrameType, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(called)
        try:
            assert table.overlapping("new", "/srv/new") is None
            other = table.overlapping("new", "/srv/7/inside")
        finally:
            sys.setprofile(None)
        assert other is not None
        assert other.id == "w7"
        return calls

    assert registered(1000) <= registered(10) + 5
