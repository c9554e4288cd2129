"""A task is its events: folding them again gives the task that the commands had made."""

from __future__ import annotations

import pytest

from domain.log.events import EVENTS
from domain.task.aggregate import Task
from domain.task.events import TASK_EVENTS
from domain.task.transitions import TABLE, Record, Status
from tests.unit.domain.samples import LATER, answer, ask, dispatch, new_task, replay, report, submit_failed


def _long_life() -> Task:
    """A task that has seen every event there is."""
    task = new_task()
    dispatch(task)
    submit_failed(task)
    dispatch(task)
    report(task, "queued")
    report(task, "running", pid=5)
    ask(task)
    answer(task)
    for _ in range(2):
        task.request_release(2, 9, reason="stuck", at=LATER, actor="ann")
    report(task, "canceled")
    dispatch(task)
    report(task, "failed", exit_code=1, output_tail="x")
    dispatch(task)
    report(task, "running", runner_id="r2")
    report(task, "succeeded", runner_id="r2", exit_code=0)
    return task


def test_every_event_of_a_task_is_applied_and_the_table_records_each_but_the_first() -> None:
    assert set(TASK_EVENTS) == {name for kind, name in EVENTS if kind == "task"}
    recorded = {cell.event for row in TABLE.values() for cell in row.values() if isinstance(cell, Record)}
    assert recorded == set(TASK_EVENTS) - {"created"}


def test_replaying_the_events_twice_gives_the_same_task() -> None:
    task = _long_life()
    events = task.collect_events()
    assert {event.NAME for event in events} == set(TASK_EVENTS)
    assert replay(events) == replay(events) == task
    assert replay(events).version == len(events)


def test_every_prefix_replays_to_what_the_commands_had_made() -> None:
    events = _long_life().collect_events()
    half = replay(events[:11])
    assert (half.status, half.attempt, half.runner_id) == (Status.CANCELED, 2, "r1")
    assert half.cancel_requested
    again = replay(events[:11])
    for event in events[11:]:
        again = event.mutate(again)
    assert again == replay(events)


def test_versions_are_contiguous_and_every_event_names_its_attempt() -> None:
    events = _long_life().collect_events()
    assert [event.originator_version for event in events] == list(range(1, len(events) + 1))
    attempts = [getattr(event.data, "attempt", None) for event in events]
    assert attempts == [None, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 4]


def test_an_event_needs_a_time_from_outside() -> None:
    with pytest.raises(TypeError, match="reads no clock"):
        TASK_EVENTS["queued"].create_timestamp()
