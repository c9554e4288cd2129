"""Registrations, removals and dispatches, judged together by their positions in the log."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from domain.locks.judging import Void
from domain.locks.table import LockTable
from tests.unit.domain.locks.lock_log import SPACE, LockLog, folded, new_table, settle

A, B = "/srv/acme", "/srv/moved"


@pytest.fixture
def log() -> LockLog:
    return LockLog()


@pytest.fixture
def table() -> LockTable:
    return new_table()


def verdicts(log: LockLog) -> dict[int, Void]:
    """The void events of a log, by sequence."""
    table, found = new_table(), {}
    for event in log.events:
        table.fold(event)
        if table.judged is not None:
            found[event.seq] = table.judged
    return found


def root(table: LockTable, workspace: str = SPACE) -> str | None:
    found = table.judge.registrations.get(workspace)
    return found.root if found else None


# ---------------------------------------------------------------- a workspace in use stays where it is


def held(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    assert settle(log, table) == ["granted one.1"]


def waits(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")


def ended_but_not_released(log: LockLog, table: LockTable) -> None:
    held(log, table)
    log.said("one", "succeeded")


USES: tuple[Callable[[LockLog, LockTable], None], ...] = (held, waits, ended_but_not_released)


@pytest.mark.parametrize("uses", USES)
@pytest.mark.parametrize("to", [B, f"{A}/inside", "/srv"])
def test_a_workspace_in_use_does_not_move(
    log: LockLog, table: LockTable, uses: Callable[[LockLog, LockTable], None], to: str
) -> None:
    uses(log, table)
    move = log.registered(SPACE, to)
    void = verdicts(log).get(move.seq)
    assert void is not None
    expected = "root-overlap" if to == "/srv" else "workspace-in-use"
    assert (void.reason, void.root, void.valid_root, void.by) == (expected, to, A, "ann")
    assert root(folded(log.events)) == A


@pytest.mark.parametrize("uses", USES)
def test_a_workspace_in_use_is_not_removed(
    log: LockLog, table: LockTable, uses: Callable[[LockLog, LockTable], None]
) -> None:
    uses(log, table)
    removal = log.removed(SPACE)
    void = verdicts(log)[removal.seq]
    assert (void.event, void.reason, void.root, void.valid_root) == ("removed", "workspace-in-use", None, A)
    assert root(folded(log.events)) == A


def test_other_settings_change_at_any_time(log: LockLog, table: LockTable) -> None:
    held(log, table)
    log.registered(SPACE, A, "hold")
    assert verdicts(log) == {}
    registration = folded(log.events).judge.registrations.get(SPACE)
    assert registration is not None
    assert registration.on_runner_lost == "hold"


@pytest.mark.parametrize("spelled", [f"{A}/", "//srv//acme", "/srv/acme//"])
def test_another_spelling_of_the_root_is_no_move(log: LockLog, table: LockTable, spelled: str) -> None:
    held(log, table)
    log.registered(SPACE, spelled)
    assert verdicts(log) == {}
    log.registered("third", spelled)
    assert [void.reason for void in verdicts(log).values()] == ["root-overlap"]


def test_a_workspace_moves_once_its_last_claim_is_closed(log: LockLog, table: LockTable) -> None:
    held(log, table)
    log.said("one", "succeeded")
    assert settle(log, table) == ["released one.1"]
    log.registered(SPACE, B)
    log.registered("third", A)
    assert verdicts(log) == {}
    assert (root(folded(log.events)), root(folded(log.events), "third")) == (B, A)


@pytest.mark.parametrize("end", ["canceled", "submit-failed"])
def test_a_waiter_that_ended_keeps_nothing(log: LockLog, table: LockTable, end: str) -> None:
    waits(log, table)
    log.said("one", end)
    log.registered(SPACE, B)
    assert verdicts(log) == {}


def test_a_refused_claim_keeps_nothing(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    log.dispatched("two", on_conflict="reject")
    assert settle(log, table) == ["granted one.1", "refused two.1"]
    log.said("one", "failed")
    settle(log, table)
    log.registered(SPACE, B)
    assert verdicts(log) == {}


def test_a_void_grant_opens_nothing(log: LockLog, table: LockTable) -> None:
    """It came behind the end of its attempt: the workspace may move although its release is still owed."""
    table.fold(log.dispatched("one"))
    late = table.decide(SPACE)
    assert late is not None
    log.said("one", "canceled")
    log.take(late)
    log.registered(SPACE, B)
    after = folded(log.events)
    assert verdicts(log) == {}
    assert after.grant("one", 1) is not None
    assert after.valid_grant("one", 1) is None


def test_claims_of_another_workspace_do_not_matter(log: LockLog, table: LockTable) -> None:
    log.dispatched("one", workspace="other")
    settle(log, table, "other")
    log.registered(SPACE, B)
    log.removed(SPACE)
    assert verdicts(log) == {}


def test_the_reported_fault(log: LockLog, table: LockTable) -> None:
    """A held workspace moves away, another one takes its directory, and a second task works there."""
    held(log, table)
    move, taking = log.registered(SPACE, B), log.registered("two", A)
    second = log.dispatched("second", workspace="two", root=A)
    assert [(one.seq, one.reason) for one in verdicts(log).values()] == [
        (move.seq, "workspace-in-use"),
        (taking.seq, "root-overlap"),
        (second.seq, "workspace-changed"),
    ]
    assert settle(log, table, "two") == ["refused second.1"]


def test_narrowing_a_held_root_frees_nothing_beside_it(log: LockLog, table: LockTable) -> None:
    held(log, table)
    log.registered(SPACE, f"{A}/x")
    log.registered("child", f"{A}/child")
    assert [void.reason for void in verdicts(log).values()] == ["workspace-in-use", "root-overlap"]


# ---------------------------------------------------------------- a dispatch that came too late


def test_a_dispatch_behind_a_move_is_refused(log: LockLog, table: LockTable) -> None:
    log.registered(SPACE, B)
    log.dispatched("late", root=A)
    log.dispatched("next", root=B)
    assert settle(log, table) == ["refused late.1", "granted next.1"]
    refused = next(event for event in log.events if event.event == "refused").data
    assert (refused["reason"], refused["root"], refused["valid_root"]) == ("workspace-changed", A, B)
    assert refused["holders"] == []


def test_a_dispatch_behind_a_removal_is_refused(log: LockLog, table: LockTable) -> None:
    log.removed(SPACE)
    log.dispatched("late")
    assert settle(log, table) == ["refused late.1"]
    assert log.events[-1].data["valid_root"] is None


def test_a_root_that_was_never_registered_is_refused(log: LockLog) -> None:
    table = LockTable()
    log.dispatched("one")
    assert settle(log, table) == ["refused one.1"]


def test_the_root_counts_and_not_the_registration(log: LockLog, table: LockTable) -> None:
    log.removed(SPACE)
    log.registered(SPACE, A)
    log.dispatched("one", root=A)
    assert settle(log, table) == ["granted one.1"]


def test_a_void_dispatch_stays_void_when_the_root_comes_back(log: LockLog, table: LockTable) -> None:
    log.registered(SPACE, B)
    log.dispatched("late", root=A)
    log.registered(SPACE, A)
    assert settle(log, table) == ["refused late.1"]


def test_a_void_dispatch_is_in_nobodys_way_and_opens_nothing(log: LockLog, table: LockTable) -> None:
    log.dispatched("late", root=B)
    log.registered(SPACE, "/srv/elsewhere")
    log.removed(SPACE)
    assert [void.event for void in verdicts(log).values()] == ["dispatched"]
    table = folded(log.events)
    assert list(table.waiters(SPACE)) == []
    assert (table.waiter("late", 1), table.grant("late", 1)) == (None, None)


@pytest.mark.parametrize("on_conflict", ["wait", "reject"])
def test_a_refusal_comes_after_releases_and_before_grants(
    log: LockLog, table: LockTable, on_conflict: str
) -> None:
    held(log, table)
    log.dispatched("waits")
    log.dispatched("late", root=B, on_conflict=on_conflict)
    log.said("one", "succeeded")
    assert settle(log, table) == ["released one.1", "refused late.1", "granted waits.1"]


def test_an_end_takes_the_refusal_along(log: LockLog, table: LockTable) -> None:
    log.dispatched("late", root=B)
    log.said("late", "canceled")
    assert settle(log, table) == []


def test_a_refusal_that_crosses_with_the_end_is_known_as_what_it_is(log: LockLog, table: LockTable) -> None:
    table.fold(log.dispatched("late", root=B))
    fact = table.decide(SPACE)
    assert fact is not None
    log.said("late", "canceled")
    reader = folded(log.events)
    void = reader.void_claim(SPACE, "late", 1)
    assert void is not None
    assert (void.claim.root, void.valid_root) == (B, A)
    refused = log.take(fact)
    assert refused is not None
    reader.fold(refused)
    assert reader.void_claim(SPACE, "late", 1) is None
    log.dispatched("next")
    assert settle(log, table) == ["granted next.1"]
    assert table.snapshot() == folded(log.events).snapshot()


def test_what_ended_void_is_forgotten_once_a_decider_has_seen_it(log: LockLog, table: LockTable) -> None:
    log.dispatched("late", root=B)
    log.said("late", "canceled")
    log.dispatched("next")
    settle(log, table)
    assert table.void_claim(SPACE, "late", 1) is None
    assert table.snapshot()["workspaces"][SPACE]["ended"] == []


# ---------------------------------------------------------------- own facts ahead of the log


def test_an_own_release_does_not_close_the_claim_before_the_log_brings_it(
    log: LockLog, table: LockTable
) -> None:
    """A move that stands in front of the release is void for everyone, also for who appended the release."""
    held(log, table)
    log.said("one", "succeeded")
    for event in log.events[table.seq :]:
        table.fold(event)
    release = table.decide(SPACE)
    assert release is not None
    move = log.registered(SPACE, B)
    recorded = log.take(release)
    assert recorded is not None
    table.fold_own(recorded)
    for event in log.events[table.seq :]:
        table.fold(event)
        if event.seq == move.seq:
            assert table.judged == verdicts(log)[move.seq]
    assert root(table) == A
    assert table.snapshot() == folded(log.events).snapshot()


def test_an_own_grant_opens_nothing_before_the_log_brings_it(log: LockLog, table: LockTable) -> None:
    """The attempt ended in front of the grant: the grant is void, and the workspace may move behind it."""
    table.fold(log.dispatched("one"))
    grant = table.decide(SPACE)
    assert grant is not None
    log.said("one", "canceled")
    move = log.registered(SPACE, B)
    recorded = log.take(grant)
    assert recorded is not None
    table.fold_own(recorded)
    assert table.valid_grant("one", 1) is None
    for event in log.events[table.seq :]:
        table.fold(event)
        assert table.judged is None, (event, move)
    assert (root(table), table.valid_grant("one", 1)) == (B, None)
    assert table.snapshot() == folded(log.events).snapshot()


# ---------------------------------------------------------------- snapshots, and the newest registration


def test_a_snapshot_holds_registrations_claims_and_owed_refusals(log: LockLog, table: LockTable) -> None:
    log.dispatched("one")
    log.registered(SPACE, B)
    log.registered("third", "/srv/third")
    log.dispatched("late", root=B)
    log.dispatched("over", root=B)
    log.said("over", "canceled")
    for event in log.events:
        table.fold(event)
    stored = json.loads(json.dumps(table.snapshot()))
    restored = LockTable.restore(stored)
    assert restored.snapshot() == stored
    assert restored.judge.void(SPACE) == table.judge.void(SPACE) == verdicts(log)[2]
    log.registered(SPACE, B)
    restored.fold(log.events[-1])
    assert restored.judged is not None
    assert settle(log, restored) == ["refused late.1", "granted one.1"]


def test_the_newest_registration_is_shown_while_it_is_void(log: LockLog, table: LockTable) -> None:
    waits(log, table)
    move = log.registered(SPACE, B)
    shown = folded(log.events).judge.void(SPACE)
    assert shown is not None
    assert (shown.seq, shown.root, shown.by, shown.time) == (move.seq, B, "ann", move.time)
    log.registered(SPACE, A, "hold")
    assert folded(log.events).judge.void(SPACE) is None


def test_a_question_beforehand_is_judged_as_the_event_would_be(log: LockLog, table: LockTable) -> None:
    waits(log, table)
    judge = folded(log.events).judge
    for asked, reason in (
        (B, "workspace-in-use"),
        (None, "workspace-in-use"),
        ("/srv/other/x", "root-overlap"),
    ):
        void = judge.would_be_void(SPACE, asked)
        assert void is not None
        assert void.reason == reason
        assert void.refusal().code == reason
        assert "seq" not in void.refusal().extra
    assert judge.would_be_void(SPACE, A) is None
    assert judge.would_be_void("third", "/srv/third") is None


def test_a_redelivered_event_has_no_verdict(log: LockLog, table: LockTable) -> None:
    table.fold(log.dispatched("late", root=B))
    assert table.judged is not None
    table.fold(log.events[0])
    assert table.judged is None


def test_old_state_is_bounded_by_what_is_open(log: LockLog, table: LockTable) -> None:
    before = table.judge.snapshot()
    for number in range(20):
        log.dispatched(f"good-{number}", f"p{number}")
        log.dispatched(f"late-{number}", root=B)
    settle(log, table)
    for number in range(20):
        log.said(f"good-{number}", "succeeded")
        log.said(f"late-{number}", "submit-failed")
    settle(log, table)
    assert table.judge.snapshot() == before
    assert table.snapshot()["workspaces"][SPACE]["void"] == []


def test_a_restored_table_knows_why_a_refusal_is_owed(log: LockLog, table: LockTable) -> None:
    """A process that starts has not seen the verdict; it names both roots all the same."""
    log.dispatched("late", root=B)
    restored = LockTable.restore(folded(log.events).snapshot())
    void = restored.void_dispatch("late", 1)
    assert void is not None
    assert void.changed() == next(iter(verdicts(log).values())).changed()
    assert (void.root, void.valid_root) == (B, A)
    assert settle(log, restored) == ["refused late.1"]
    assert restored.void_dispatch("late", 1) is None
