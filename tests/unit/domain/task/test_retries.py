"""Which ends another attempt follows, when it is due, and what ends the retries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import Refused
from domain.log.events import RetryPolicy
from domain.task.aggregate import Task
from domain.task.retries import JITTER, LONGEST_SECONDS, next_at
from domain.task.spec import Retry, TaskSpec
from domain.task.transitions import Status
from domain.workspaces.registry import Registration
from tests.unit.domain.samples import (
    AT,
    LATER,
    OTHER_ID,
    REGISTRATION,
    TASK_ID,
    cancel,
    dispatch,
    new_task,
    pending,
    report,
)

EVERY = RetryPolicy(
    max_attempts=3,
    backoff_seconds=10.0,
    on=["deadline", "exit", "no-runner", "runner-lost", "unreachable"],
)
HOLD = Registration("acme-api", "/srv/acme", "hold", seq=3, version=1)


def _dispatched(policy: RetryPolicy | None = EVERY, registration: Registration = REGISTRATION) -> Task:
    task = new_task(retry=policy)
    task.dispatch(registration, at=AT, actor="ann")
    return task


def _fail(task: Task, reason: str = "exit") -> None:
    report(task, "failed", reason=reason)


def _lose(task: Task) -> None:
    report(task, "running")
    task.runner_lost(task.attempt, "silent", at=LATER, actor="watchdog")


def _release(task: Task) -> None:
    report(task, "running")
    for _ in range(2):
        task.request_release(task.attempt, 7, reason="stuck", at=LATER, actor="ann")


def _retry(task: Task) -> None:
    task.retry(REGISTRATION, at=LATER, actor="retry")


@pytest.mark.parametrize("reason", EVERY.on)
def test_another_attempt_follows_the_ends_that_are_named(reason: Any) -> None:
    def ended(policy: RetryPolicy) -> Task:
        task = _dispatched(policy)
        if reason in ("exit", "runner-lost"):
            _fail(task, reason)
        else:
            task.submit_failed(1, reason, None, at=LATER, actor="dispatch")
        return task

    assert ended(EVERY).next_attempt_at is not None
    others = EVERY.model_copy(update={"on": [one for one in EVERY.on if one != reason]})
    assert ended(others).next_attempt_at is None


@pytest.mark.parametrize("reason", ["timeout", "killed", "error"])
def test_no_other_end_of_a_process_is_retried(reason: str) -> None:
    task = _dispatched()
    _fail(task, reason)
    assert task.next_attempt_at is None


@pytest.mark.parametrize("reason", ["rejected", "workspace-locked", "workspace-changed"])
def test_nor_is_a_submission_that_was_refused(reason: Any) -> None:
    task = _dispatched()
    task.submit_failed(1, reason, None, at=LATER, actor="dispatch")
    assert task.next_attempt_at is None


@pytest.mark.parametrize("status", ["succeeded", "canceled"])
def test_success_and_cancel_end_it(status: str) -> None:
    task = _dispatched()
    report(task, status, reason="exit")
    assert task.next_attempt_at is None
    with pytest.raises(Refused, match="another attempt is current"):
        _retry(task)


@pytest.mark.parametrize("stop", [cancel, _release])
@pytest.mark.parametrize("end", [_fail, lambda task: task.runner_lost(1, "silent", at=LATER, actor="w")])
def test_an_attempt_that_was_asked_to_stop_is_not_retried(
    stop: Callable[[Task], None], end: Callable[[Task], None]
) -> None:
    task = _dispatched()
    report(task, "running")
    stop(task)
    end(task)
    assert task.ended
    assert task.next_attempt_at is None


def test_where_a_lost_runners_lock_is_kept_its_loss_is_not_retried() -> None:
    task = _dispatched(registration=HOLD)
    _lose(task)
    assert task.status is Status.FAILED
    assert task.next_attempt_at is None
    other = _dispatched(registration=HOLD)
    _fail(other)
    assert other.next_attempt_at is not None, "another end is"


def test_all_attempts_count_also_those_begun_by_hand() -> None:
    task = _dispatched()
    _fail(task)
    _retry(task)
    _fail(task)
    dispatch(task)
    assert task.attempt == 3
    _fail(task)
    assert task.next_attempt_at is None
    dispatch(task)
    _fail(task)
    assert task.next_attempt_at is None


def test_an_attempt_begun_by_hand_takes_the_turn() -> None:
    task = _dispatched()
    _fail(task)
    dispatch(task)
    with pytest.raises(Refused, match="another attempt is current"):
        _retry(task)
    assert task.attempt == 2
    assert not task.begun_by_retry


def test_a_retry_says_that_it_is_one() -> None:
    task = _dispatched()
    _fail(task)
    _retry(task)
    assert (task.attempt, task.status, task.begun_by_retry) == (2, Status.DISPATCHED, True)
    assert task.pending_events[-1].actor == "retry"


def test_a_cancel_between_attempts_ends_the_retries_and_leaves_the_end() -> None:
    task = _dispatched()
    _fail(task)
    task.collect_events()
    cancel(task)
    assert pending(task) == ["cancel-requested"]
    assert (task.status, task.reason, task.next_attempt_at) == (Status.FAILED, "exit", None)
    cancel(task)
    assert pending(task) == ["cancel-requested"], "a repeat is stale"
    dispatch(task)
    _fail(task)
    assert task.next_attempt_at is not None, "an attempt by hand begins anew"


def test_a_cancel_of_what_is_not_retried_is_refused_as_before() -> None:
    task = _dispatched(None)
    _fail(task)
    with pytest.raises(Refused, match="nothing to cancel"):
        cancel(task)


def test_a_policy_is_stored_only_where_there_is_one() -> None:
    assert "retry" not in new_task().spec.model_dump_json()
    plain = _dispatched(None, HOLD)
    assert plain.dispatched is not None
    assert "on_runner_lost" not in plain.dispatched.model_dump_json()


# ---------------------------------------------------------------------- when


@given(
    attempt=st.integers(1, 10_000),
    backoff=st.floats(0, 86_400),
    task_id=st.sampled_from([TASK_ID, OTHER_ID]),
)
def test_a_pause_doubles_up_to_its_bound_and_a_quarter_is_random(
    attempt: int, backoff: float, task_id: str
) -> None:
    policy = EVERY.model_copy(update={"backoff_seconds": backoff})
    pause = (next_at(policy, task_id, attempt, AT) - AT).total_seconds()  # type: ignore[arg-type]
    bound = min(backoff * 2 ** min(attempt - 1, 60), max(backoff, LONGEST_SECONDS))
    assert bound - 1e-6 <= pause <= bound * (1 + JITTER) + 1e-6


def test_every_reader_computes_the_same_time_and_tasks_differ() -> None:
    times = {next_at(EVERY, f"task-{number}", 1, AT) for number in range(100)}  # type: ignore[arg-type]
    assert len(times) == 100
    assert next_at(EVERY, TASK_ID, 1, AT) == next_at(EVERY, TASK_ID, 1, AT)  # type: ignore[arg-type]
    # pinned: another version that computes another time would show another one than it arms
    assert next_at(EVERY, TASK_ID, 1, AT) == AT + timedelta(seconds=12.230475)  # type: ignore[arg-type]


def test_the_time_counts_from_the_event_and_not_from_the_runners_clock() -> None:
    task = _dispatched()
    report(task, "failed", reason="exit", finished_at=AT - timedelta(days=9))
    assert task.next_attempt_at == next_at(EVERY, task.id, 1, LATER)


# ---------------------------------------------------------------------- what is sent


def test_exit_is_retried_only_if_it_is_named() -> None:
    assert "exit" not in Retry(max_attempts=3).policy.on
    assert Retry(max_attempts=3, on=["exit", "deadline", "exit"]).policy.on == ["deadline", "exit"]


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 1}, {"max_attempts": 101}, {"backoff_seconds": -1.0}, {"on": []}, {"on": ["killed"]}],
)
def test_a_policy_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TaskSpec.model_validate({"command": ["true"], "retry": {"max_attempts": 3, **wrong}})
