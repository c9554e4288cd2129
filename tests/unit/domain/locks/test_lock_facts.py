"""Lock facts and the log: grants that cross with an end, the compare-and-set, folding, snapshots."""

from __future__ import annotations

import json

import pytest

from domain.locks.claims import FIRST_CHAIN
from domain.locks.table import LockTable
from domain.locks.view import lock_entry
from tests.unit.domain.locks.lock_log import SPACE, LockLog, folded, new_table, settle


@pytest.fixture
def log() -> LockLog:
    return LockLog()


@pytest.fixture
def table() -> LockTable:
    return new_table()


# ---------------------------------------------------------------- grants that cross with an end


def test_a_void_grant_is_released_first_with_the_cause_of_the_end(log: LockLog, table: LockTable) -> None:
    table.fold(log.dispatched("one"))
    late = table.decide(SPACE)
    assert late is not None
    end = log.said("one", "canceled")
    granted = log.take(late)
    assert granted is not None
    log.dispatched("two", on_conflict="reject")
    assert settle(log, table) == ["released one.1", "granted two.1"]
    released = next(event for event in log.events if event.event == "released").data
    assert (released["cause"], released["cause_seq"], released["by"]) == ("canceled", end.seq, "by-canceled")


def test_a_void_grant_keeps_its_cause_when_facts_folded_ahead_come_before_it(log: LockLog) -> None:
    """A decider that folds its own facts ahead of the log appends several before it sees the end."""
    ahead = new_table()
    log.dispatched("one", "a")
    log.dispatched("two", "b")
    for event in log.events:
        ahead.fold(event)
    end = log.said("two", "canceled")
    for _ in range(2):
        fact = ahead.decide(SPACE)
        assert fact is not None
        recorded = log.take(fact)
        assert recorded is not None
        ahead.fold_own(recorded)
    for event in log.events[ahead.seq :]:
        ahead.fold(event)
    reader = folded(log.events)
    grant = reader.grant("two", 1)
    assert grant is not None
    assert grant.owed is not None
    assert (grant.owed.cause, grant.owed.seq) == ("canceled", end.seq)
    assert reader.snapshot() == ahead.snapshot()


def test_what_ended_while_waiting_is_forgotten_once_a_decider_has_seen_it(
    log: LockLog, table: LockTable
) -> None:
    log.dispatched("one")
    settle(log, table)
    log.dispatched("two")
    log.said("two", "canceled")
    log.said("one", "succeeded")
    settle(log, table)
    assert table.snapshot()["workspaces"][SPACE]["ended"] == []


def test_a_grant_that_no_claim_explains_is_owed_too(log: LockLog, table: LockTable) -> None:
    granted = {"task_id": "ghost", "attempt": 1, "root": "/srv/acme", "paths": ["src"], "mode": "exclusive"}
    log.append("lock", SPACE, "granted", {**granted, "seen_seq": 0}, actor="someone")
    log.dispatched("one")
    assert settle(log, table) == ["released ghost.1", "granted one.1"]
    assert log.events[2].data["cause"] == "void"


# ---------------------------------------------------------------- the compare-and-set


def test_a_decision_expects_the_last_fact_folded(log: LockLog, table: LockTable) -> None:
    table.fold(log.dispatched("one", "a"))
    first = table.decide(SPACE)
    assert first is not None
    assert (first.expected_seq, first.version, first.previous_chain) == (0, 1, FIRST_CHAIN)
    assert first.data.model_dump()["seen_seq"] == 1
    granted = log.take(first)
    assert granted is not None
    log.dispatched("two", "b")
    log.said("two", "queued")
    for event in log.events[1:]:
        table.fold(event)
    second = table.decide(SPACE)
    assert second is not None
    assert (second.expected_seq, second.version, second.previous_chain) == (granted.seq, 2, granted.chain)
    assert second.data.model_dump()["seen_seq"] == 4


def test_a_decider_that_lags_loses_and_decides_anew(log: LockLog) -> None:
    slow, fast = new_table(), new_table()
    slow.fold(log.dispatched("one"))
    log.said("one", "canceled")
    log.dispatched("two")
    assert settle(log, fast) == ["granted two.1"]
    late = slow.decide(SPACE)
    assert late is not None
    assert log.take(late) is None
    assert settle(log, slow) == []
    assert slow.snapshot() == fast.snapshot()


def test_an_own_fact_counts_before_the_log_brings_it(log: LockLog, table: LockTable) -> None:
    table.fold(log.dispatched("one"))
    fact = table.decide(SPACE)
    assert fact is not None
    log.dispatched("two")
    own = log.take(fact)
    assert own is not None
    table.fold_own(own)
    assert (table.seq, table.decide(SPACE)) == (1, None)
    assert [table.fold(event) for event in log.events[1:]] == [SPACE, None]
    assert table.seq == own.seq
    assert table.snapshot() == folded(log.events).snapshot()


def test_the_last_fact_of_a_workspace_is_known_after_everything_is_free(
    log: LockLog, table: LockTable
) -> None:
    log.dispatched("one")
    settle(log, table)
    log.said("one", "succeeded")
    settle(log, table)
    assert list(table.workspaces()) == []
    log.dispatched("two")
    assert settle(log, table) == ["granted two.1"]


def test_pending_names_the_workspaces_where_something_is_due(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    log.dispatched("two", workspace="other")
    settle(log, table)
    assert table.pending() == ["other"]


# ---------------------------------------------------------------- folding and looking


def test_a_redelivered_event_changes_nothing(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    settle(log, table)
    log.dispatched("two")
    log.said("one", "running", runner_id="r1")
    settle(log, table)
    before = table.snapshot()
    for event in (*log.events, *reversed(log.events)):
        assert table.fold(event) is None
    assert table.snapshot() == before


def test_a_snapshot_is_plain_data_and_restores_everything(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", "src")
    settle(log, table)
    log.said("one", "running", runner_id="r1")
    log.dispatched("two", "src", mode="shared", on_conflict="wait")
    log.dispatched("three", "src")
    log.said("three", "canceled")
    settle(log, table)
    stored = json.loads(json.dumps(table.snapshot()))
    restored = LockTable.restore(stored)
    assert restored.snapshot() == stored
    log.said("one", "failed")
    assert settle(log, restored) == ["released one.1", "granted two.1"]


def test_looking_at_a_workspace(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", "src")
    settle(log, table)
    log.said("one", "queued", runner_id="r1")
    log.said("one", "running", runner_id=None)
    log.dispatched("two", "src/api", mode="shared")
    settle(log, table)
    entry = lock_entry(table, SPACE)
    holder, waiter = entry.holders[0], entry.waiters[0]
    assert (holder.task_id, holder.runner_id, holder.token, holder.paths) == ("one", "r1", 2, ["src"])
    assert holder.since == log.events[1].at
    assert (waiter.task_id, waiter.mode, waiter.position, waiter.blocked_by) == ("two", "shared", 1, ["one"])
    assert waiter.since == log.events[4].at


def test_looking_where_nothing_is(table: LockTable) -> None:
    assert (table.grant("one", 1), table.waiter("one", 1), table.decide("nowhere")) == (None, None, None)
    assert lock_entry(table, "nowhere").model_dump() == {
        "workspace": "nowhere",
        "holders": [],
        "waiters": [],
    }
