"""What a forged history of retries is found by: each case keeps the table and breaks the task's policy."""

from __future__ import annotations

from typing import Any

import pytest

from domain.evidence.history_rules import task_fault
from domain.evidence.task_trace import TaskTrace
from domain.locks.table import LockTable
from domain.log.events import FailedReason, RetryPolicy
from domain.task.aggregate import Task
from domain.task.events import TaskEvent
from tests.unit.domain.samples import AT, TASK_ID, Journal, cancel, created_data, report

POLICY = RetryPolicy(max_attempts=2, backoff_seconds=1.0, on=["exit", "runner-lost"])
Event = tuple[str, str, dict[str, Any]]


def _dispatched(attempt: int, actor: str = "retry", **changes: Any) -> Event:
    task = Task.create(TASK_ID, created_data(workspace=None), at=AT, actor="ann")
    task.dispatch(None, at=AT, actor=actor)
    last = task.pending_events[-1]
    assert isinstance(last, TaskEvent)
    return "dispatched", actor, {**last.data.model_dump(mode="json"), "attempt": attempt, **changes}


def _failed(attempt: int, reason: FailedReason = "exit") -> Event:
    data = {"attempt": attempt, "runner_id": "r1", "exit_code": 1, "message": None, "output_tail": None}
    return "failed", "runner:r1", {**data, "finished_at": "2026-03-01T12:00:00Z", "reason": reason}


FIRST = _dispatched(1, "ann")
CANCEL: Event = ("cancel-requested", "ann", {"attempt": 1, "by": "ann", "reason": None})
RELEASE: Event = (
    "lock-release-requested", "ann", {"attempt": 1, "token": 7, "by": "ann", "reason": "stuck"},
)  # fmt: skip
RUNNING: Event = (
    "running", "runner:r1", {"attempt": 1, "runner_id": "r1", "started_at": "2026-03-01T12:00:00Z", "pid": 1},
)  # fmt: skip


def _found(*events: Event, policy: RetryPolicy | None = POLICY) -> list[str | None]:
    journal, table = Journal(), LockTable()
    trace = TaskTrace.of(journal.append("task", TASK_ID, "created", created_data(retry=policy)))
    found = []
    for name, actor, data in events:
        event = journal.append("task", TASK_ID, name, data, actor)
        found.append(task_fault(trace, event, table))
        trace.follow(event)
    return found


def test_a_right_history_has_no_fault() -> None:
    assert _found(FIRST, _failed(1), _dispatched(2), _failed(2), _dispatched(3, "ann")) == [None] * 5
    assert _found(FIRST, _failed(1), CANCEL, _dispatched(2, "ann")) == [None] * 4


@pytest.mark.parametrize(
    "events",
    [
        (_dispatched(1),),
        (FIRST, _failed(1, "killed"), _dispatched(2)),
        (FIRST, _failed(1), _dispatched(2), _failed(2), _dispatched(3)),
        (FIRST, RUNNING, CANCEL, _failed(1), _dispatched(2)),
        (FIRST, RUNNING, RELEASE, _failed(1, "runner-lost"), _dispatched(2)),
        (FIRST, _failed(1), CANCEL, _dispatched(2)),
        (_dispatched(1, "ann", on_runner_lost="hold"), _failed(1, "runner-lost"), _dispatched(2)),
    ],
)
def test_an_attempt_that_the_policy_does_not_begin_is_found(events: tuple[Event, ...]) -> None:
    *before, last = _found(*events)
    assert before == [None] * (len(events) - 1)
    assert last is not None
    assert "begun by a retry" in last


def test_so_is_one_of_a_task_without_a_policy() -> None:
    *_, last = _found(FIRST, _failed(1), _dispatched(2), policy=None)
    assert last is not None


@pytest.mark.parametrize("policy", [None, POLICY.model_copy(update={"on": ["deadline"]})])
def test_a_cancel_behind_an_end_that_is_not_retried_is_found(policy: RetryPolicy | None) -> None:
    *_, last = _found(FIRST, _failed(1), CANCEL, policy=policy)
    assert last is not None
    assert "no retry was to follow" in last


def test_what_the_aggregate_records_has_no_fault() -> None:
    task = Task.create(TASK_ID, created_data(workspace=None, retry=POLICY), at=AT, actor="ann")
    task.dispatch(None, at=AT, actor="ann")
    report(task, "failed", reason="exit")
    task.retry(None, at=AT, actor="retry")
    report(task, "failed", reason="exit")
    task.dispatch(None, at=AT, actor="ann")
    report(task, "running")
    cancel(task)
    events = [one for one in task.collect_events() if isinstance(one, TaskEvent)][1:]
    assert _found(*((one.NAME, one.actor, one.data.model_dump(mode="json")) for one in events)) == [None] * 7
