"""`towpath why`: each stage of a task has its sentence, and names what is in the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.locks.view import HolderRead, LockEntry, WaiterRead
from domain.log.record import Recorded
from domain.protocol import rfc3339
from domain.task.explain import MOST_BLOCKERS, Blocker, Why, blockers, explain
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
    return explain(task_read(task_in(status), 9, lock), last, list(in_the_way), **more)


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
