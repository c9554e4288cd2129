"""`towpath why`: each stage of a task has its sentence, and names what is in the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.locks.view import HolderRead, LockEntry, WaiterRead
from domain.log.record import Recorded
from domain.protocol import rfc3339
from domain.task.explain import MOST_BLOCKERS, Blocker, Why, blockers, explain
from domain.task.question import QuestionRead
from domain.task.transitions import Status
from domain.task.view import NO_LOCK, LockRead, task_read
from tests.unit.domain.samples import AT, LATER, OTHER_ID, TASK_ID, task_in

HELD = LockRead(state="held", token=7, since=LATER)
WAITS = LockRead(state="waiting", since=AT, position=1, blocked_by=[OTHER_ID])


def event(name: str, actor: str = "ann", **data: Any) -> Recorded:
    return Recorded(
        seq=9,
        kind="task",
        subject_id=TASK_ID,
        event=name,
        id="e9",
        version=1,
        attempt=1,
        time=rfc3339(LATER),
        actor=actor,
        chain="",
        data=data,
    )


def blocker(holds: bool, runner_id: str | None = "r1") -> Blocker:
    return Blocker(
        task_id=OTHER_ID,
        attempt=1,
        title="deploy",
        holds=holds,
        paths=["src"],
        token=7 if holds else None,
        runner_id=runner_id,
        since=AT,
    )


def why(status: Status, last: Recorded, lock: LockRead = NO_LOCK, *in_the_way: Blocker, **more: Any) -> Why:
    return explain(task_read(task_in(status), 9, lock), last, list(in_the_way), **more, now=LATER)


def why_it_asks(**changes: Any) -> Why:
    """Of a running task, whose job has asked."""
    question = QuestionRead(
        question_id="q", text="Go on?", choices=["yes", "no"], free_text=False, asked_at=AT,
        expires_at=changes.pop("expires_at", None), default=changes.pop("default", None),
    )  # fmt: skip
    read = task_read(task_in(Status.RUNNING), 9, HELD).model_copy(update={"question": question, **changes})
    return explain(read, event("asked", "job"), [], now=LATER)


@pytest.mark.parametrize(
    ("status", "name", "lock", "stage", "words"),
    [
        (Status.CREATED, "created", NO_LOCK, "not-dispatched", "no dispatch was requested"),
        (Status.DISPATCHED, "dispatched", WAITS, "waits-for-lock", "nothing blocks it any more"),
        (Status.DISPATCHED, "dispatched", HELD, "waits-for-runner", "pool default to take it"),
        (Status.QUEUED, "queued", HELD, "waits-to-start", "to be started"),
        (Status.RUNNING, "running", HELD, "running", "holding src in acme-api with token 7"),
        (Status.SUCCEEDED, "succeeded", NO_LOCK, "ended", "succeeded at 2026-03-01 12:00:05Z"),
        (Status.SUBMIT_FAILED, "submit-failed", NO_LOCK, "ended", "reached no runner at"),
    ],
)
def test_each_stage_has_its_sentence(
    status: Status, name: str, lock: LockRead, stage: str, words: str
) -> None:
    found = why(status, event(name), lock)
    assert (found.stage, found.status) == (stage, status)
    assert found.sentence.startswith(f"build ({TASK_ID}) ")
    assert words in found.sentence


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (blocker(True), f"deploy ({OTHER_ID}) on r1 has held src since 2026-03-01 12:00:00Z"),
        (blocker(True, None), "which no runner has taken yet, has held src"),
        (blocker(False, None), "which came first, waits for src"),
    ],
)
def test_a_wait_names_the_first_in_the_way_and_counts_the_others(first: Blocker, words: str) -> None:
    alone = why(Status.DISPATCHED, event("dispatched"), WAITS, first)
    assert words in alone.sentence
    assert "more" not in alone.sentence
    two = why(Status.DISPATCHED, event("dispatched"), WAITS, first, blocker(False), blocker(False))
    assert two.sentence.endswith(", and 2 more are before it.")


def test_an_end_names_its_cause_and_who_asked_for_it() -> None:
    asked = event("cancel-requested", "bob", reason="wrong branch")
    ended = why(
        Status.CANCELED, event("canceled", "runner:r1", exit_code=143, message="stopped"), asked=asked
    )
    assert "was canceled at" in ended.sentence
    assert "(exit code 143, stopped)" in ended.sentence
    assert ended.sentence.endswith("asked for it at 2026-03-01 12:00:05Z (wrong branch), event 9.")


def test_a_code_that_the_message_has_is_not_repeated() -> None:
    ended = why(Status.FAILED, event("failed", reason="exit", exit_code=2, message="exited with 2"))
    assert "(exited with 2)" in ended.sentence


def test_a_running_task_that_was_asked_to_stop_tells_by_whom() -> None:
    canceled = why(Status.RUNNING, event("cancel-requested", "bob", reason=None), HELD)
    assert "asked it to stop at" in canceled.sentence
    freed = why(Status.RUNNING, event("lock-release-requested", "bob"), HELD)
    assert "freed its lock by hand at" in freed.sentence


@pytest.mark.parametrize("pauses", [True, False])
def test_a_job_that_asks_tells_what_and_whether_its_timeout_stands_still(pauses: bool) -> None:
    found = why_it_asks(timeout_seconds=60.0, timeout_pauses=pauses)
    assert found.stage == "waits-for-answer"
    assert "asks since 2026-03-01 12:00:00Z: Go on? (yes / no), holding src" in found.sentence
    assert found.sentence.endswith(f"; answer with `towpath answer {TASK_ID}`.")
    assert ("; its timeout stands still meanwhile;" in found.sentence) == pauses


@pytest.mark.parametrize(("expires_at", "default"), [(LATER, "no"), (LATER + timedelta(seconds=1), None)])
def test_it_waits_up_to_the_deadline_or_for_the_default(expires_at: datetime, default: str | None) -> None:
    found = why_it_asks(expires_at=expires_at, default=default)
    assert (found.stage, found.since) == ("waits-for-answer", AT)
    assert (", then `no` stands" in found.sentence) == (default is not None)


def test_a_job_whose_question_expired_is_expected_to_go_on() -> None:
    found = why_it_asks(expires_at=LATER, timeout_seconds=60.0, timeout_pauses=True)
    assert found.stage == "running"
    assert "has been running on" in found.sentence
    said = "no answer came until 2026-03-01 12:00:05Z to what it asked: Go on? (yes / no); `towpath answer "
    assert f"{said}{TASK_ID}` still records one." in found.sentence
    assert "stands still" not in found.sentence


def test_blockers_are_those_that_the_lock_names_and_bounded() -> None:
    holder = HolderRead.model_construct(
        task_id=OTHER_ID, attempt=1, paths=["src"], token=7, runner_id="r1", since=AT
    )
    other = WaiterRead.model_construct(task_id="elsewhere", attempt=1, paths=[], since=AT + timedelta(1))
    entry = LockEntry.model_construct(holders=[holder] * (MOST_BLOCKERS + 1), waiters=[other])
    read = task_read(task_in(Status.DISPATCHED), 9, WAITS)
    found = blockers(read, entry)
    assert len(found) == MOST_BLOCKERS
    assert {(one.task_id, one.token, one.holds) for one in found} == {(OTHER_ID, 7, True)}
    assert blockers(read, None) == []
    assert blockers(task_read(task_in(Status.RUNNING), 9, HELD), entry) == []
