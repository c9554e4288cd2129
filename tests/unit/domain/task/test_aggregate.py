"""What a task remembers and refuses: attempts, the runner it is bound to, cancels, releases, ends."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta

import pytest

from domain.errors import Refused
from domain.protocol import Report
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.transitions import Status
from tests.unit.domain.samples import (
    AT,
    LATER,
    REGISTRATION,
    TASK_ID,
    cancel,
    dispatch,
    new_task,
    pending,
    report,
    submit_failed,
    task_in,
)

TERMINAL_REPORTS = ["succeeded", "failed", "canceled"]


def _code(call: object, *args: object, **fields: object) -> str:
    with pytest.raises(Refused) as refusal:
        call(*args, **fields)
    return refusal.value.code


def _second_attempt() -> Task:
    task = task_in(Status.FAILED)
    dispatch(task)
    task.collect_events()
    return task


# ---------------------------------------------------------------- attempts


def test_a_new_task_has_no_attempt() -> None:
    task = new_task()
    assert (task.status, task.attempt, task.ended) == (Status.CREATED, 0, False)
    assert task.id == TASK_ID
    assert task.created_on == AT
    assert pending(task) == ["created"]


def test_dispatch_pins_the_claim_and_the_registration() -> None:
    task = new_task(lock_mode="shared", on_conflict="reject")
    dispatch(task)
    claim = task.dispatched
    assert claim is not None
    assert (claim.root, claim.registration_seq) == (REGISTRATION.root, REGISTRATION.seq)
    assert (claim.workspace, claim.lock_paths) == ("acme-api", ["src"])
    assert (claim.lock_mode, claim.on_conflict, claim.attempt) == ("shared", "reject", 1)


def test_dispatch_without_workspace_pins_nothing() -> None:
    task = new_task(workspace=None, lock_paths=[])
    dispatch(task)
    assert task.dispatched is not None
    assert (task.dispatched.workspace, task.dispatched.root) == (None, None)


def test_next_attempt_starts_clean() -> None:
    task = new_task()
    dispatch(task)
    report(task, "running", pid=7)
    cancel(task)
    report(task, "failed", exit_code=3, message="no", output_tail="boom")
    dispatch(task)
    assert (task.attempt, task.status) == (2, Status.DISPATCHED)
    assert not task.cancel_requested
    assert not task.release_requested
    assert (task.runner_id, task.exit_code, task.message, task.reason, task.output_tail) == (None,) * 5
    assert (task.queued_at, task.started_at, task.finished_at) == (None,) * 3


def test_a_task_canceled_before_its_first_dispatch_can_be_dispatched() -> None:
    task = new_task()
    cancel(task)
    assert task.pending_events[-1].data.attempt is None
    dispatch(task)
    assert (task.attempt, task.status) == (1, Status.DISPATCHED)


@pytest.mark.parametrize("status", ["queued", "running", *TERMINAL_REPORTS])
def test_reports_on_an_older_attempt_are_refused(status: str) -> None:
    task = _second_attempt()
    assert _code(report, task, status, attempt=1) == "stale-attempt"
    assert not task.pending_events


@pytest.mark.parametrize("status", ["queued", "running", *TERMINAL_REPORTS])
def test_reports_on_an_attempt_that_is_not_there_yet_are_refused(status: str) -> None:
    assert _code(report, _second_attempt(), status, attempt=3) == "unknown-attempt"


def test_a_report_without_attempt_counts_while_there_was_only_one() -> None:
    task = task_in(Status.DISPATCHED)
    report(task, "running", attempt=None)
    assert task.status is Status.RUNNING
    assert task.pending_events[-1].data.attempt == 1


@pytest.mark.parametrize("status", ["queued", "running", *TERMINAL_REPORTS])
def test_a_report_without_attempt_is_refused_from_the_second_attempt_on(status: str) -> None:
    assert _code(report, _second_attempt(), status, attempt=None) == "attempt-required"


@pytest.mark.parametrize("attempt", [None, 1])
def test_a_task_that_never_had_an_attempt_takes_no_report(attempt: int | None) -> None:
    task = new_task()
    assert _code(report, task, "running", attempt=attempt) == "not-dispatched"
    cancel(task)
    assert _code(report, task, "running", attempt=attempt) == "not-dispatched"


# ---------------------------------------------------------------- one runner


@pytest.mark.parametrize("first", ["queued", "running"])
@pytest.mark.parametrize("then", ["queued", "running", *TERMINAL_REPORTS])
def test_the_first_queued_or_running_binds_the_attempt(first: str, then: str) -> None:
    task = task_in(Status.DISPATCHED)
    report(task, first, runner_id="r1")
    assert _code(report, task, then, runner_id="r2") == "not-your-attempt"
    assert task.runner_id == "r1"


def test_an_ended_attempt_stays_with_its_runner() -> None:
    task = task_in(Status.RUNNING)
    report(task, "succeeded")
    assert _code(report, task, "succeeded", runner_id="r2") == "not-your-attempt"


def test_a_report_without_runner_id_counts_as_the_bound_runners() -> None:
    task = task_in(Status.QUEUED)
    report(task, "running", runner_id=None)
    assert (task.status, task.runner_id) == (Status.RUNNING, "r1")
    report(task, "succeeded", runner_id=None)
    assert task.pending_events[-1].data.runner_id == "r1"


def test_running_binds_where_queued_named_no_runner() -> None:
    task = task_in(Status.DISPATCHED)
    report(task, "queued", runner_id=None)
    report(task, "running", runner_id="r2")
    assert task.runner_id == "r2"
    assert _code(report, task, "succeeded", runner_id="r1") == "not-your-attempt"


def test_the_next_attempt_is_free_for_another_runner() -> None:
    task = task_in(Status.RUNNING)
    report(task, "failed")
    dispatch(task)
    report(task, "running", runner_id="r2")
    assert (task.attempt, task.runner_id) == (2, "r2")


# ---------------------------------------------------------------- the start gate


@pytest.mark.parametrize("status", ["queued", "running", *TERMINAL_REPORTS])
def test_no_report_counts_before_the_grant(status: str) -> None:
    task = task_in(Status.DISPATCHED)
    assert _code(report, task, status, grant=GrantKnowledge.NOT_HELD) == "not-granted"
    assert not task.pending_events


@pytest.mark.parametrize("status", ["queued", "running", *TERMINAL_REPORTS])
def test_no_report_is_decided_before_the_grant_is_known(status: str) -> None:
    task = task_in(Status.DISPATCHED)
    assert not report(task, status, grant=GrantKnowledge.UNKNOWN)
    assert not task.pending_events


def test_an_unknown_grant_does_not_matter_where_none_is_needed_or_it_was_used_before() -> None:
    running, free = task_in(Status.RUNNING), new_task(workspace=None)
    dispatch(free)
    free.collect_events()
    assert report(running, "succeeded", grant=GrantKnowledge.UNKNOWN)
    assert report(free, "running", grant=GrantKnowledge.UNKNOWN)
    assert (pending(running), pending(free)) == (["succeeded"], ["running"])
    assert _code(report, task_in(Status.CANCELED), "running", grant=GrantKnowledge.UNKNOWN) == "ended"


def test_running_is_refused_once_a_cancel_was_requested() -> None:
    task = task_in(Status.QUEUED)
    cancel(task)
    assert _code(report, task, "running") == "cancel-requested"
    report(task, "canceled")
    assert task.status is Status.CANCELED


def test_running_is_refused_once_the_lock_was_released_by_hand() -> None:
    task = task_in(Status.QUEUED)
    for _ in range(2):
        task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    assert task.release_requested
    assert _code(report, task, "running") == "lock-release-requested"


def test_running_is_refused_after_cancel_at_once() -> None:
    task = task_in(Status.DISPATCHED)
    cancel(task)
    assert (task.status, _code(report, task, "running")) == (Status.CANCELED, "ended")


# ---------------------------------------------------------------- cancels and releases


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_cancel_twice_records_one_request(status: Status) -> None:
    task = task_in(status)
    cancel(task)
    cancel(task)
    assert pending(task) == ["cancel-requested"]
    assert (task.status, task.cancel_requested) == (status, True)


def test_an_end_still_counts_after_a_cancel_request() -> None:
    task = task_in(Status.RUNNING)
    cancel(task)
    report(task, "succeeded", exit_code=0)
    assert task.status is Status.SUCCEEDED


def test_cancel_after_an_end_that_a_cancel_request_preceded() -> None:
    task = task_in(Status.RUNNING)
    cancel(task)
    report(task, "failed")
    assert _code(cancel, task) == "already-ended"


def test_release_asks_the_runner_to_stop_before_it_frees_the_lock() -> None:
    task = task_in(Status.RUNNING)
    task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    assert (pending(task), task.release_requested) == (["cancel-requested"], False)
    task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    assert pending(task) == ["cancel-requested", "lock-release-requested"]
    released = task.pending_events[-1].data
    assert (released.attempt, released.token, released.by, released.reason) == (1, 7, "ann", "stuck")
    assert task.status is Status.RUNNING


def test_release_after_a_cancel_request_only_frees() -> None:
    task = task_in(Status.RUNNING)
    cancel(task)
    task.collect_events()
    task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    assert pending(task) == ["lock-release-requested"]


def test_release_from_dispatched_cancels() -> None:
    task = task_in(Status.DISPATCHED)
    task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    assert (pending(task), task.status) == (["canceled"], Status.CANCELED)
    assert (task.reason, task.pending_events[-1].data.by) == ("stuck", "ann")


@pytest.mark.parametrize("status", [Status.DISPATCHED, Status.QUEUED, Status.RUNNING])
def test_release_meant_for_an_older_attempt_changes_nothing(status: Status) -> None:
    task = _second_attempt()
    if status is not Status.DISPATCHED:
        report(task, status.value)
    task.collect_events()
    task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    assert not task.pending_events


# ---------------------------------------------------------------- the control plane's findings


@pytest.mark.parametrize("status", list(Status))
def test_runner_lost_ends_only_queued_and_running(status: Status) -> None:
    task = task_in(status)
    before = deepcopy(task)
    task.runner_lost(task.attempt, "no heartbeat", at=LATER, actor="watchdog")
    if status in (Status.QUEUED, Status.RUNNING):
        assert (task.status, task.reason, task.message) == (Status.FAILED, "runner-lost", "no heartbeat")
        assert (task.runner_id, task.exit_code) == ("r1", None)
    else:
        assert task == before


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_a_lost_runner_confirms_a_cancel_but_not_a_release_by_hand(status: Status) -> None:
    task = task_in(status)
    cancel(task)
    task.runner_lost(1, "no heartbeat", at=LATER, actor="watchdog")
    assert (task.status, task.reason, task.message) == (Status.CANCELED, "runner-lost", "no heartbeat")
    assert (task.runner_id, task.finished_at) == ("r1", LATER)
    task = task_in(status)
    for _ in range(2):
        task.request_release(1, 7, reason="stuck", at=LATER, actor="ann")
    assert task.release_requested
    task.runner_lost(1, "no heartbeat", at=LATER, actor="watchdog")
    assert (task.status, task.reason) == (Status.FAILED, "runner-lost")


@pytest.mark.parametrize("status", list(Status))
def test_a_lock_wait_that_is_over_ends_only_dispatched(status: Status) -> None:
    task = task_in(status, lock_wait_seconds=30.0)
    task.lock_wait_over(task.attempt, "held too long", at=LATER, actor="lock-wait")
    if status is not Status.DISPATCHED:
        assert task.status is status
        return
    assert task.dispatched is not None
    assert task.dispatched.lock_wait_seconds == 30.0
    assert (task.status, task.reason) == (Status.CANCELED, "lock-wait-timeout")
    assert (task.message, task.finished_at) == ("held too long", LATER)
    dispatch(task)
    task.lock_wait_over(1, "late", at=LATER, actor="lock-wait")
    assert task.is_open(2, Status.DISPATCHED)


@pytest.mark.parametrize("status", list(Status))
def test_submit_failed_ends_only_dispatched(status: Status) -> None:
    task = task_in(status)
    before = deepcopy(task)
    submit_failed(task)
    if status is Status.DISPATCHED:
        assert (task.status, task.reason, task.finished_at) == (Status.SUBMIT_FAILED, "deadline", LATER)
    else:
        assert task == before


def test_findings_about_another_attempt_change_nothing() -> None:
    for attempt in (0, 1, 3):
        task = _second_attempt()
        submit_failed(task, attempt)
        report(task, "running")
        task.collect_events()
        task.runner_lost(attempt, "no heartbeat", at=LATER, actor="watchdog")
        assert not task.pending_events


# ---------------------------------------------------------------- what is kept of a report


def test_success_is_an_alias() -> None:
    task = task_in(Status.RUNNING)
    task.report(
        Report.model_validate({"status": "success", "exit_code": 0}),
        grant=GrantKnowledge.HELD,
        transport="nats",
        at=LATER,
        actor="runner:r1",
    )
    assert (task.status, task.exit_code, pending(task)) == (Status.SUCCEEDED, 0, ["succeeded"])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "error"),
        ({"exit_code": 2}, "exit"),
        ({"exit_code": 137, "reason": "killed"}, "killed"),
        ({"reason": "timeout"}, "timeout"),
        ({"reason": "runner-lost"}, "runner-lost"),
    ],
)
def test_reason_of_a_failure(fields: dict[str, object], reason: str) -> None:
    task = task_in(Status.RUNNING)
    report(task, "failed", **fields)
    assert task.reason == reason


def test_times_come_from_the_report_or_else_from_outside() -> None:
    task = task_in(Status.DISPATCHED)
    report(task, "running", started_at=AT + timedelta(seconds=1))
    report(task, "succeeded")
    assert (task.started_at, task.finished_at) == (AT + timedelta(seconds=1), LATER)
    assert (task.queued_at, task.dispatched_at) == (None, AT)


def test_an_end_without_a_start_is_kept() -> None:
    task = task_in(Status.DISPATCHED)
    report(task, "succeeded", exit_code=0, output_tail="done")
    assert (task.status, task.started_at, task.output_tail) == (Status.SUCCEEDED, None, "done")
    assert task.runner_id == "r1"


def test_a_runners_cancel_says_who_and_why() -> None:
    task = task_in(Status.RUNNING)
    report(task, "canceled", reason="asked to", message="killed 3 processes")
    ended = task.pending_events[-1].data
    assert (ended.by, ended.runner_id, ended.reason) == ("runner:r1", "r1", "asked to")
    assert (task.message, task.reason) == ("killed 3 processes", "asked to")
