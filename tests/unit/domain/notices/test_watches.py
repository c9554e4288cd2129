"""Watches: what begins once begins once, and what was told to begin is told to end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log.record import Recorded
from domain.notices.rules import Trigger
from domain.notices.watches import ENDS, Watches
from tests.unit.domain.samples import AT, OTHER_ID, TASK_ID, Journal

WAITS, RUNS = Trigger.parse("lock-waits-over 10m"), Trigger.parse("runs-over 1h")
ALL = [WAITS, RUNS, *map(Trigger, ("runner-suspected", "runner-lost", "awaiting-operator"))]
TEN_MINUTES = timedelta(minutes=10)


def dispatched(journal: Journal, attempt: int = 1, **changes: Any) -> Recorded:
    data = {"attempt": attempt, "workspace": "shop", "on_conflict": "wait", **changes}
    return journal.append("task", TASK_ID, "dispatched", data)


def running(journal: Journal) -> Recorded:
    return journal.append("task", TASK_ID, "running", {"attempt": 1, "runner_id": "r1"})


def granted(journal: Journal) -> Recorded:
    return journal.append("lock", "shop", "granted", {"task_id": TASK_ID, "attempt": 1})


def test_a_lock_wait_begins_after_its_time() -> None:
    watches, event = Watches(ALL), dispatched(Journal())
    assert watches.fold(event) == []
    assert watches.due(event.at + TEN_MINUTES - timedelta(seconds=1)) == []
    (due,) = watches.due(event.at + TEN_MINUTES)
    assert (due.trigger, due.task_id, due.attempt) == (WAITS, TASK_ID, 1)
    watches.told(due, ["ops"])
    assert watches.due(event.at + timedelta(days=1)) == []


def test_a_grant_ends_the_wait_and_what_was_told_is_returned() -> None:
    journal = Journal()
    watches, event = Watches(ALL), dispatched(journal)
    watches.fold(event)
    (due,) = watches.due(event.at + TEN_MINUTES)
    watches.told(due, ["ops", "log"])
    (ended,) = watches.fold(granted(journal))
    assert (ended.key, ended.told_to) == (due.key, ("ops", "log"))
    assert watches.open == {}
    assert watches.fold(granted(journal)) == []


def test_what_was_told_to_no_channel_ends_silently() -> None:
    journal = Journal()
    watches, event = Watches(ALL), dispatched(journal)
    watches.fold(event)
    watches.told(watches.due(event.at + TEN_MINUTES)[0], [])
    assert watches.fold(granted(journal)) == []


@pytest.mark.parametrize("changes", [{"workspace": None}, {"on_conflict": "reject"}])
def test_what_waits_for_no_lock_is_not_watched(changes: dict[str, Any]) -> None:
    watches = Watches(ALL)
    watches.fold(dispatched(Journal(), **changes))
    assert watches.open == {}


@pytest.mark.parametrize("end", sorted(ENDS))
def test_the_end_of_an_attempt_ends_all_of_it(end: str) -> None:
    journal = Journal()
    watches = Watches(ALL)
    for event in (dispatched(journal), running(journal)):
        watches.fold(event)
    watches.kept({(TASK_ID, 1): "r1"}, AT)
    assert len(watches.open) == 3
    for due in watches.due(AT + timedelta(days=1)):
        watches.told(due, ["ops"])
    ended = watches.fold(journal.append("task", TASK_ID, end, {"attempt": 1}))
    assert sorted(one.trigger.name for one in ended) == ["awaiting-operator", "lock-waits-over", "runs-over"]
    assert watches.open == {}


def test_only_what_a_rule_names_is_watched() -> None:
    watches, journal = Watches([RUNS]), Journal()
    watches.fold(dispatched(journal))
    watches.seen("r1", "lost", AT)
    watches.kept({(TASK_ID, 1): "r1"}, AT)
    assert watches.open == {}
    assert not watches.changed
    watches.fold(running(journal))
    assert [one.trigger for one in watches.open.values()] == [RUNS]


def test_a_runner_is_suspected_then_lost_then_back() -> None:
    watches = Watches(ALL)
    watches.seen("r1", "alive", AT)
    assert watches.open == {}
    watches.seen("r1", "suspected", AT)
    assert [str(one.trigger) for one in watches.due(AT)] == ["runner-suspected"]
    watches.told(watches.due(AT)[0], ["ops"])
    watches.seen("r1", "lost", AT)
    assert [str(one.trigger) for one in watches.due(AT)] == ["runner-lost"]
    watches.told(watches.due(AT)[0], ["ops"])
    assert watches.seen("r1", "lost", AT) == []
    ended = watches.seen("r1", "alive", AT + timedelta(minutes=1))
    assert [str(one.trigger) for one in ended] == ["runner-suspected", "runner-lost"]
    assert watches.open == {}


def test_a_runner_that_left_is_over_too() -> None:
    watches = Watches(ALL)
    watches.seen("r1", "lost", AT)
    for due in watches.due(AT):
        watches.told(due, ["ops"])
    assert watches.runners == {"r1"}
    assert len(watches.seen("r1", None, AT)) == 2
    assert watches.runners == set()


def test_a_kept_lock_is_over_when_it_is_kept_no_more() -> None:
    watches = Watches(ALL)
    watches.kept({(TASK_ID, 1): "r1", (OTHER_ID, 2): "r1"}, AT)
    for due in watches.due(AT):
        watches.told(due, ["ops"])
    (ended,) = watches.kept({(OTHER_ID, 2): "r1"}, AT)
    assert (ended.task_id, ended.attempt) == (TASK_ID, 1)


_EVENTS = ("dispatched", "running", "granted", "failed", "succeeded", "lock-release-requested")
_steps = st.lists(st.tuples(st.sampled_from(_EVENTS), st.integers(0, 7200), st.booleans()), max_size=25)


@given(_steps)
def test_with_a_restart_anywhere_the_same_is_told(steps: list[tuple[str, int, bool]]) -> None:
    """Kept by its changes and loaded again, the state tells what one that never ended tells: each once."""
    journal, at = Journal(), AT
    whole, parts, kept = Watches(ALL), Watches(ALL), dict[str, Any]()
    begun = list[str]()
    for name, pause, restart in steps:
        at += timedelta(seconds=pause)
        attempt = 1
        data: dict[str, Any] = {"attempt": attempt, "runner_id": "r1", "task_id": TASK_ID}
        data |= {"workspace": "shop", "on_conflict": "wait"}
        kind, subject = ("lock", "shop") if name == "granted" else ("task", TASK_ID)
        event = journal.append(kind, subject, name, data)  # type: ignore[arg-type]
        event.time = at.isoformat()
        assert whole.due(at) == parts.due(at)
        for due in whole.due(at):
            begun.append(due.fact_id)
            whole.told(due, ["ops"])
            parts.told(due, ["ops"])
        ended = whole.fold(event)
        assert parts.fold(event) == ended
        changes = parts.taken()
        assert not set(changes.opened) & set(changes.ended)
        kept = {key: one for key, one in kept.items() if key not in changes.ended} | changes.opened
        assert kept == parts.open == whole.open
        if restart:
            parts = Watches(ALL, kept.values())
    assert len(begun) == len(set(begun))
