"""The rules of the lock table, one example each."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from domain.locks.claims import Claim
from domain.locks.table import LockTable
from domain.locks.view import EntryPicture, LockEntry, lock_entry
from domain.locks.workspace_locks import MOST_NAMED
from tests.unit.domain.locks.lock_log import SPACE, LockLog, new_table, settle


@pytest.fixture
def log() -> LockLog:
    return LockLog()


@pytest.fixture
def table() -> LockTable:
    return new_table()


# ---------------------------------------------------------------- waiting


def test_claims_are_granted_in_the_order_of_their_dispatch(log: LockLog, table: LockTable) -> None:
    for task_id in ("one", "two", "three"):
        log.dispatched(task_id, "src")
    assert settle(log, table) == ["granted one.1"]
    assert [
        (waiter.claim.task_id, waiter.position, waiter.blocked_by) for waiter in table.waiters(SPACE)
    ] == [
        ("two", 1, ("one",)),
        ("three", 2, ("one", "two")),
    ]
    log.said("one", "succeeded")
    assert settle(log, table) == ["released one.1", "granted two.1"]
    log.said("two", "failed")
    assert settle(log, table) == ["released two.1", "granted three.1"]


def test_a_claim_waits_behind_a_waiting_one_that_it_conflicts_with(log: LockLog, table: LockTable) -> None:
    log.dispatched("reader", mode="shared")
    log.dispatched("writer")
    log.dispatched("late reader", mode="shared")
    assert settle(log, table) == ["granted reader.1"]
    log.said("reader", "succeeded")
    assert settle(log, table) == ["released reader.1", "granted writer.1"]
    log.said("writer", "succeeded")
    assert settle(log, table) == ["released writer.1", "granted late reader.1"]


def test_a_claim_passes_waiting_ones_that_it_does_not_conflict_with(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", "src")
    log.dispatched("two", "src", "docs")
    log.dispatched("three", "docs/api")
    log.dispatched("four", "src2")
    assert settle(log, table) == ["granted one.1", "granted four.1"]
    assert [waiter.blocked_by for waiter in table.waiters(SPACE)] == [("one",), ("two",)]


def test_shared_claims_hold_together_and_an_exclusive_one_waits_for_all(
    log: LockLog, table: LockTable
) -> None:
    log.dispatched("one", mode="shared")
    log.dispatched("two", "src", mode="shared")
    log.dispatched("writer", "src")
    assert settle(log, table) == ["granted one.1", "granted two.1"]
    log.said("one", "succeeded")
    assert settle(log, table) == ["released one.1"]
    log.said("two", "succeeded")
    assert settle(log, table) == ["released two.1", "granted writer.1"]


def test_no_paths_means_the_whole_workspace(log: LockLog, table: LockTable) -> None:
    log.dispatched("all")
    log.dispatched("one", "src")
    log.dispatched("two", "docs")
    assert settle(log, table) == ["granted all.1"]
    log.said("all", "canceled")
    assert settle(log, table) == ["released all.1", "granted one.1", "granted two.1"]


@pytest.mark.parametrize(("mode", "overlap"), [("exclusive", True), ("shared", False)])
def test_claims_under_different_roots_overlap(mode: str, overlap: bool) -> None:
    """The release of a void grant under an old root may still be owed where the workspace has moved."""
    one, two = (
        Claim(root, 1, SPACE, root, (path,), mode, "wait", 1, "")
        for root, path in (("/srv/old", "src"), ("/srv/new", "docs"))
    )
    assert one.conflicts(two) is two.conflicts(one) is overlap


def test_workspaces_know_nothing_of_each_other(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    log.dispatched("two", workspace="other")
    assert (settle(log, table), settle(log, table, "other")) == (["granted one.1"], ["granted two.1"])
    assert list(table.workspaces()) == [SPACE, "other"]


def test_a_task_without_workspace_claims_nothing(log: LockLog, table: LockTable) -> None:
    event = log.dispatched("one", workspace=None)
    assert table.fold(event) is None
    assert list(table.workspaces()) == table.pending() == []


def test_the_end_of_a_waiter_frees_those_behind_it(log: LockLog, table: LockTable) -> None:
    log.dispatched("reader", mode="shared")
    log.dispatched("writer")
    log.dispatched("late reader", mode="shared")
    settle(log, table)
    log.said("writer", "canceled")
    assert settle(log, table) == ["granted late reader.1"]


# ---------------------------------------------------------------- releasing


@pytest.mark.parametrize("event", ["succeeded", "failed", "canceled", "submit-failed"])
def test_every_end_releases_with_its_own_cause(log: LockLog, table: LockTable, event: str) -> None:
    log.dispatched("one", "src")
    settle(log, table)
    end = log.said("one", event)
    table.fold(end)
    fact = table.decide(SPACE)
    assert fact is not None
    assert fact.data.model_dump() == {
        "task_id": "one",
        "attempt": 1,
        "paths": ["src"],
        "cause": event,
        "cause_seq": end.seq,
        "by": f"by-{event}",
        "seen_seq": end.seq,
    }


@pytest.mark.parametrize("event", ["queued", "running", "cancel-requested"])
def test_nothing_else_releases(log: LockLog, table: LockTable, event: str) -> None:
    log.dispatched("one")
    settle(log, table)
    log.said("one", event)
    assert settle(log, table) == []


def test_releases_come_before_grants_and_in_the_order_of_the_grants(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", "a")
    log.dispatched("two", "b")
    settle(log, table)
    log.dispatched("three", "c")
    log.said("two", "succeeded")
    log.said("one", "succeeded")
    assert settle(log, table) == ["released one.1", "released two.1", "granted three.1"]


def test_the_end_of_an_older_attempt_releases_nothing(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    settle(log, table)
    log.said("one", "failed")
    log.dispatched("one", attempt=2)
    assert settle(log, table) == ["released one.1", "granted one.2"]
    log.said("one", "failed", attempt=1)
    assert settle(log, table) == []
    grant = table.grant("one", 2)
    assert grant is not None
    assert grant.owed is None


def test_the_next_attempt_waits_until_the_last_one_is_released(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    settle(log, table)
    log.said("one", "failed")
    log.dispatched("one", attempt=2)
    for event in log.events[table.seq :]:
        table.fold(event)
    waiter = table.waiter("one", 2)
    assert waiter is not None
    assert waiter.blocked_by == ("one",)


# ---------------------------------------------------------------- releasing by hand


def test_a_hand_release_frees_the_grant_with_its_token(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    settle(log, table)
    grant = table.grant("one", 1)
    assert grant is not None
    asked = log.release_requested("one", grant.token)
    table.fold(asked)
    fact = table.decide(SPACE)
    assert fact is not None
    released = fact.data.model_dump(include={"cause", "cause_seq", "by"})
    assert released == {"cause": "operator", "cause_seq": asked.seq, "by": "bob"}


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_hand_release_with_another_token_frees_nothing(log: LockLog, table: LockTable, shift: int) -> None:
    log.dispatched("one")
    settle(log, table)
    grant = table.grant("one", 1)
    assert grant is not None
    log.release_requested("one", grant.token + shift)
    assert settle(log, table) == []


def test_a_hand_release_is_not_remembered_for_a_later_grant(log: LockLog, table: LockTable) -> None:
    log.dispatched("holder")
    log.dispatched("one")
    settle(log, table)
    token = log.seq + 3
    log.release_requested("one", token)
    log.said("holder", "succeeded")
    assert settle(log, table) == ["released holder.1", "granted one.1"]


def test_the_first_cause_stands(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    settle(log, table)
    grant = table.grant("one", 1)
    assert grant is not None
    for event in (log.said("one", "canceled"), log.release_requested("one", grant.token)):
        table.fold(event)
    assert grant.owed is not None
    assert grant.owed.cause == "canceled"


# ---------------------------------------------------------------- refusing


def test_a_rejecting_claim_is_granted_where_nothing_is_in_its_way(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", "src")
    log.dispatched("two", "docs", on_conflict="reject")
    assert settle(log, table) == ["granted one.1", "granted two.1"]


def test_a_rejecting_claim_is_refused_with_the_holders(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", "src")
    settle(log, table)
    log.dispatched("two", on_conflict="reject")
    assert settle(log, table) == ["refused two.1"]
    refused = log.events[-1].data
    assert refused["holders"] == [{"task_id": "one", "attempt": 1, "token": 2}]
    assert table.waiter("two", 1) is None
    log.said("one", "succeeded")
    log.said("two", "submit-failed")
    assert settle(log, table) == ["released one.1"]


def test_a_rejecting_claim_is_refused_when_only_a_waiter_is_in_its_way(
    log: LockLog, table: LockTable
) -> None:
    log.dispatched("reader", "src", mode="shared")
    log.dispatched("writer", "src", "docs")
    log.dispatched("rejecting", "docs", on_conflict="reject")
    assert settle(log, table) == ["granted reader.1", "refused rejecting.1"]
    assert log.events[-1].data["holders"] == [{"task_id": "writer", "attempt": 1, "token": None}]


def test_a_rejecting_claim_is_decided_once_no_release_is_owed(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    settle(log, table)
    log.said("one", "succeeded")
    log.dispatched("two", on_conflict="reject")
    assert settle(log, table) == ["released one.1", "granted two.1"]


def test_a_rejecting_claim_behind_one_that_takes_everything_is_refused(
    log: LockLog, table: LockTable
) -> None:
    for task_id in ("one", "two"):
        log.dispatched(task_id)
    log.dispatched("three", "src", on_conflict="reject")
    assert settle(log, table) == ["granted one.1", "refused three.1"]
    assert [holder["task_id"] for holder in log.events[-1].data["holders"]] == ["one", "two"]


# ---------------------------------------------------------------- how much is open


def test_the_size_of_what_is_open_follows_every_change(log: LockLog, table: LockTable) -> None:
    def size() -> tuple[int, int, int, int]:
        found = table.open_size(SPACE)
        return found.held, found.waiting, found.paths, found.path_chars

    assert size() == (0, 0, 0, 0)
    log.dispatched("one", "src", "docs/api")
    log.dispatched("two", "src")
    log.dispatched("three")
    settle(log, table)
    assert size() == (1, 2, 3, 14)
    log.said("two", "canceled")
    settle(log, table)
    assert size() == (1, 1, 2, 11)
    log.said("one", "succeeded")
    settle(log, table)
    assert size() == (1, 0, 0, 0)
    log.said("three", "succeeded")
    settle(log, table)
    assert size() == (0, 0, 0, 0)


def test_a_restored_table_decides_and_answers_as_the_one_it_was_taken_of(
    log: LockLog, table: LockTable
) -> None:
    for number in range(4):
        log.dispatched(f"task{number}", "src", f"docs/{number}")
        log.dispatched(f"reader{number}", "src/api", mode="shared", root="/srv/new")
    settle(log, table)
    restored = LockTable.restore(table.snapshot())
    for event in ("succeeded", "failed"):
        held = table.holders(SPACE)[0].claim.task_id
        log.said(held, event)
        for one in (table, restored):
            one.fold(log.events[-1])
        assert list(restored.waiters(SPACE)) == list(table.waiters(SPACE))
        assert restored.open_size(SPACE) == table.open_size(SPACE)
        while (fact := table.decide(SPACE)) is not None:
            assert restored.decide(SPACE) == fact
            recorded = log.take(fact)
            assert recorded is not None
            for one in (table, restored):
                one.fold(recorded)


def test_the_rows_of_a_picture_are_what_the_model_of_an_entry_says(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", "src", "docs/api")
    log.dispatched("two", "src")
    log.dispatched("three", mode="shared")
    for number in range(2 * MOST_NAMED + 20):
        log.dispatched(f"late{number}", *(["src"] if number % 3 else ["other"]), wait_seconds=90 + number % 2)
    settle(log, table)
    expected = lock_entry(table, SPACE)
    picture = EntryPicture(table, SPACE)
    log.said("one", "succeeded")
    settle(log, table)
    rows = {"workspace": SPACE, "holders": list(picture.holders()), "waiters": list(picture.waiters())}
    assert LockEntry.model_validate(rows) == expected
    assert json.loads(json.dumps(rows)) == json.loads(expected.model_dump_json())


def test_a_snapshot_keeps_how_long_a_claim_waits(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    log.dispatched("two", wait_seconds=90.5)
    settle(log, table)
    restored = LockTable.restore(json.loads(json.dumps(table.snapshot())))
    (waiter,) = lock_entry(restored, SPACE).waiters
    assert waiter.gives_up_at == waiter.since + timedelta(seconds=90.5)


def test_the_first_waiter_has_waited_longest(log: LockLog, table: LockTable) -> None:
    for name in ("one", "two", "three"):
        log.dispatched(name)
    assert table.first_waiter(SPACE) is None
    settle(log, table)
    first = table.first_waiter(SPACE)
    assert first is not None
    assert (first.claim.task_id, first.blocked_by, first.in_the_way) == ("two", ("one",), 1)
    log.said("two", "canceled")
    settle(log, table)
    first = table.first_waiter(SPACE)
    assert first is not None
    assert first.claim.task_id == "three"
    assert table.first_waiter("nowhere") is None
