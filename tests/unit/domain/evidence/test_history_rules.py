"""What a forged history of questions is found by: each case keeps the table and breaks one rule."""

from __future__ import annotations

from typing import Any

import pytest

from domain.evidence.history_rules import task_fault
from domain.evidence.task_trace import TaskTrace
from domain.identifiers import RunnerId
from domain.locks.table import LockTable
from domain.log.events import AnsweredData, AskedData
from domain.log.record import Recorded
from domain.task.question import EXPIRY_ACTOR
from domain.task.transitions import Status
from tests.unit.domain.samples import AT, TASK_ID, Journal


def _asked(**changes: Any) -> tuple[str, dict[str, Any]]:
    fields: dict[str, Any] = {
        "attempt": 1,
        "question_id": "q1",
        "text": "Deploy?",
        "choices": ["yes", "no"],
        "free_text": False,
        "expires_at": AT,
        "default": "no",
        "runner_id": "r1",
        **changes,
    }
    return "asked", AskedData(**fields).model_dump(mode="json")


def _answered(**changes: Any) -> tuple[str, dict[str, Any]]:
    fields = {
        "attempt": 1,
        "question_id": "q1",
        "choice": "yes",
        "text": None,
        "by": "ann",
        "cause": "person",
    }
    return "answered", AnsweredData(**{**fields, **changes}).model_dump(mode="json")


CANCEL = ("cancel-requested", {"attempt": 1, "by": "ann", "reason": None})
LATE = AT.replace(year=2100)


def _found(*events: tuple[str, dict[str, Any]], actor: str = "") -> list[str | None]:
    """`actor`: that of all events; default: whom each names."""
    trace = TaskTrace(Status.RUNNING, attempt=1)
    journal, table = Journal(), LockTable()
    found = []
    for name, data in events:
        event: Recorded = journal.append("task", TASK_ID, name, data, actor or data.get("by", "job"))
        found.append(task_fault(trace, event, table))
        trace.follow(event)
    return found


def test_a_right_history_has_no_fault() -> None:
    again = (
        _asked(question_id="q2"),
        _answered(question_id="q2", choice="no", by=EXPIRY_ACTOR, cause="expired"),
    )
    assert _found(_asked(), _answered(), *again, CANCEL) == [None] * 5


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([_asked(), _asked(question_id="q2")], "while question q1 was open"),
        ([_asked(), _answered(), _asked()], "was asked before"),
        ([_asked(), CANCEL, _answered()], "after a cancel"),
        ([CANCEL, _asked()], "after a cancel"),
        ([_asked(choices=None, default=None)], "cannot be answered"),
        ([_asked(default="maybe")], "none of its choices"),
        ([_answered()], "which is not open"),
        ([_asked(), _answered(), _answered()], "which is not open"),
        ([_asked(), _answered(question_id="q2")], "which is not open"),
        ([_asked(), _answered(choice="maybe")], "none of the question's choices"),
        ([_asked(), _answered(choice=None)], "none of the question's choices"),
        ([_asked(), _answered(choice=None, text="hm")], "does not take"),
        ([_asked(), _answered(by=EXPIRY_ACTOR, cause="expired")], "not the question's default"),
        (
            [_asked(expires_at=LATE), _answered(choice="no", by=EXPIRY_ACTOR, cause="expired")],
            "time was not over",
        ),
        ([_asked(), _answered(choice="no", cause="expired")], "is expired, but its actor is ann"),
        ([_asked(), _answered(by="job")], "is person, but its actor is job"),
        ([_asked(), _answered(by="runner:r1")], "is person, but its actor is runner:r1"),
        ([_asked(), _answered(by=EXPIRY_ACTOR)], "is person, but its actor is question-expiry"),
    ],
)
def test_a_forged_one_is_found_by_its_last_event(
    events: list[tuple[str, dict[str, Any]]], fault: str
) -> None:
    *before, last = _found(*events)
    assert before == [None] * (len(events) - 1)
    assert last is not None
    assert fault in last


@pytest.mark.parametrize("cause", ["person", "expired"])
def test_an_answer_in_the_name_of_another_is_found(cause: str) -> None:
    _, last = _found(_asked(), _answered(choice="no", cause=cause), actor="bob")
    assert last == "it was answered by ann, but its actor is bob"


def test_a_question_of_another_runner_and_one_too_many_are_found() -> None:
    event = Journal().append("task", TASK_ID, *_asked(runner_id="r2"))
    bound = TaskTrace(Status.RUNNING, attempt=1, runner_id=RunnerId("r1"))
    full = TaskTrace(Status.RUNNING, attempt=1, asked=[f"q{number}" for number in range(2, 1002)])
    assert "bound to r1" in str(task_fault(bound, event, LockTable()))
    assert "1000 questions" in str(task_fault(full, event, LockTable()))


def test_a_retry_in_the_name_of_another_actor_is_found() -> None:
    event = Journal().append("task", TASK_ID, "dispatched", {"attempt": 1, "by": "retry"})
    assert "begun by retry" in str(task_fault(TaskTrace(), event, LockTable()))
