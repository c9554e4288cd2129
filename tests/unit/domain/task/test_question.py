"""A question of a job: asked once, answered once, open only while its attempt runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.errors import Invalid, NotFound, Refused
from domain.protocol import Ask, AskBody
from domain.task.question import MOST_QUESTIONS, given, question_state
from domain.task.transitions import Status
from tests.unit.domain.samples import (
    LATER,
    answer,
    ask,
    cancel,
    dispatch,
    pending,
    report,
    task_in,
)


def test_the_first_answer_stands_and_a_second_is_told_whose_and_which() -> None:
    task = task_in(Status.RUNNING)
    ask(task)
    answer(task, choice="yes")
    with pytest.raises(Refused) as second:
        task.answer("q1", "no", None, at=LATER, actor="bob")
    assert second.value.code == "already-answered"
    assert (second.value.extra["by"], second.value.extra["choice"]) == ("ann", "yes")
    with pytest.raises(Refused, match="ann has answered 'yes'"):
        task.answer("q1", "yes", None, at=LATER, actor="bob")
    assert pending(task) == ["asked", "answered"]


def test_the_same_question_and_the_same_answer_may_come_again() -> None:
    task = task_in(Status.RUNNING)
    for _ in range(2):
        ask(task, expires_seconds=60, default="no")
        ask(task, expires_seconds=60, default="no", at=LATER + timedelta(seconds=9))
        answer(task)
        answer(task)
    assert pending(task) == ["asked", "answered"]
    report(task, "succeeded")
    ask(task, expires_seconds=60, default="no")
    answer(task)
    assert pending(task) == ["asked", "answered", "succeeded"]


def test_an_old_question_that_comes_again_is_not_asked_again() -> None:
    task = task_in(Status.RUNNING)
    ask(task, "q1")
    answer(task, "q1")
    ask(task, "q2")
    ask(task, "q1")
    assert pending(task) == ["asked", "answered", "asked"]
    assert task.open_question is not None
    assert task.open_question.asked.question_id == "q2"


def test_one_id_names_one_question() -> None:
    task = task_in(Status.RUNNING)
    ask(task)
    with pytest.raises(Refused) as other:
        ask(task, text="Delete?")
    assert other.value.code == "id-taken"


def test_one_question_is_open_at_a_time() -> None:
    task = task_in(Status.RUNNING)
    ask(task, "q1")
    with pytest.raises(Refused) as second:
        ask(task, "q2")
    assert (second.value.code, second.value.extra) == ("question-open", {"question_id": "q1"})


def test_a_task_asks_a_limited_number_of_questions() -> None:
    task = task_in(Status.RUNNING)
    for number in range(MOST_QUESTIONS):
        ask(task, f"q{number}")
        answer(task, f"q{number}")
    with pytest.raises(Refused) as more:
        ask(task, "more")
    assert more.value.code == "too-many-questions"


def test_a_request_to_cancel_closes_the_question() -> None:
    task = task_in(Status.RUNNING)
    ask(task)
    cancel(task)
    assert task.open_question is None
    for refused in (answer, lambda task: ask(task, "q2")):
        with pytest.raises(Refused) as said:
            refused(task)
        assert said.value.code == "cancel-requested"


@pytest.mark.parametrize("end", ["succeeded", "failed", "canceled"])
def test_the_end_of_the_attempt_closes_it_also_once_the_next_runs(end: str) -> None:
    task = task_in(Status.RUNNING)
    ask(task)
    report(task, end)
    steps = [lambda: None] if end == "succeeded" else [lambda: None, lambda: dispatch(task)]
    for step in steps:
        step()
        assert task.open_question is None
        with pytest.raises(Refused) as late:
            answer(task)
        assert late.value.code == "ended"
    shown = question_state(task.id, task.question("q1"), is_open=False, now=LATER)
    assert (shown.state, shown.answer) == ("closed", None)


def test_a_question_of_another_attempt_is_not_answered_by_the_time_of_this_one() -> None:
    task = task_in(Status.RUNNING)
    ask(task, expires_seconds=1, default="no")
    report(task, "failed")
    dispatch(task)
    report(task, "running", runner_id="r2")
    task.collect_events()
    task.question_expired(1, at=LATER + timedelta(hours=1), actor="timer")
    ask(task, "q2", runner_id="r2", expires_seconds=1, default="yes")
    task.question_expired(1, at=LATER + timedelta(hours=1), actor="timer")
    assert pending(task) == ["asked"]


def test_its_default_is_the_answer_once_its_time_is_over() -> None:
    task = task_in(Status.RUNNING)
    ask(task, expires_seconds=60, default="no")
    task.question_expired(1, at=LATER + timedelta(seconds=59), actor="timer")
    assert task.open_question is not None
    task.question_expired(1, at=LATER + timedelta(seconds=60), actor="timer")
    answered = task.question("q1").answer
    assert answered is not None
    assert (answered.choice, answered.cause, answered.by) == ("no", "expired", "timer")
    with pytest.raises(Refused, match="timer has answered 'no'"):
        answer(task)


def test_a_default_beside_the_choices_is_a_text() -> None:
    task = task_in(Status.RUNNING)
    ask(task, free_text=True, expires_seconds=60, default="later")
    task.question_expired(1, at=LATER + timedelta(seconds=60), actor="timer")
    answered = task.question("q1").answer
    assert answered is not None
    assert (answered.choice, answered.text, given(answered)) == (None, "later", "later")


def test_without_a_default_it_stays_open_and_is_shown_as_expired() -> None:
    task = task_in(Status.RUNNING)
    ask(task, expires_seconds=60)
    task.collect_events()
    over = LATER + timedelta(seconds=60)
    task.question_expired(1, at=over, actor="timer")
    assert pending(task) == []
    shown = question_state(task.id, task.question("q1"), is_open=True, now=over)
    assert (shown.state, shown.expired) == ("open", True)
    answer(task)
    assert pending(task) == ["answered"]


def test_an_answer_is_one_of_what_the_question_offers() -> None:
    task = task_in(Status.RUNNING)
    ask(task)
    for choice, text, code in (("maybe", None, "not-a-choice"), (None, "hm", "no-free-text")):
        with pytest.raises(Invalid) as said:
            task.answer("q1", choice, text, at=LATER, actor="ann")
        assert said.value.code == code
    with pytest.raises(NotFound):
        task.answer("q9", "yes", None, at=LATER, actor="ann")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "cannot be answered"),
        ({"choices": ["a", "a"]}, "all different"),
        ({"choices": []}, "at least 1"),
        ({"choices": [str(n) for n in range(9)]}, "at most 8"),
        ({"choices": ["x" * 65]}, "at most 64"),
        ({"choices": [" "]}, "some words"),
        ({"choices": ["a"], "default": "b", "expires_seconds": 1}, "one of `choices`"),
        ({"choices": ["a"], "default": "a"}, "say when it does"),
        ({"free_text": True, "expires_seconds": 0}, "greater than 0"),
        ({"free_text": True, "text": "x" * 2001}, "at most 2000"),
        ({"free_text": True, "text": " \n"}, "some words"),
        (
            {"free_text": True, "expires_seconds": 1, "expires_at": "2026-03-01T12:00:00Z"},
            "not both",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(fields: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        AskBody.model_validate({"text": "Deploy?", **fields})


def test_its_text_is_cleaned_like_other_text_for_people() -> None:
    asked = Ask.model_validate({"question_id": "q", "text": " a\x00b ", "choices": ["\ud800"]})
    assert (asked.text, asked.choices) == ("a\ufffdb", ["\ufffd"])
