"""A question of a job to a person, with its answer.

A question is open while it is the last one of the current attempt, has no answer, and the attempt is running
without a request to stop. An attempt has one open question at a time. The task keeps all its questions, so
that repeated reports and answers are idempotent, even after the next question or the next attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from domain.actors import shown_actor
from domain.errors import Invalid, Refused
from domain.identifiers import TaskId
from domain.log.events import AnswerCause, AnsweredData, AskedData

MOST_QUESTIONS = 1000
"""The limit of one task, so that a job that asks in a loop cannot fill the log."""
EXPIRY_ACTOR = "question-expiry"
"""The actor of the answers that are recorded at a deadline."""
QuestionState = Literal["open", "answered", "closed"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question. `at`: when it was asked; `answer`: the data of its `answered`, or None."""

    asked: AskedData
    at: datetime
    answer: AnsweredData | None = None
    answered_at: datetime | None = None

    def same_as(self, asked: AskedData) -> bool:
        """Whether `asked` repeats this question; `expires_at` is ignored, since the first one stays valid."""
        return self.asked.model_copy(update={"expires_at": asked.expires_at}) == asked

    def refuse_answer(self) -> Refused:
        """The error for a second answer; it names the first answer and its actor."""
        assert self.answer is not None
        first = self.answer
        return Refused(
            "already-answered",
            f"{shown_actor(first.by)} has answered {given(first)!r}; the first answer stands",
            {"by": first.by, "choice": first.choice, "text": first.text, "answered_at": self.answered_at},
        )

    def check_answer(self, choice: str | None, text: str | None) -> None:
        """Raise Invalid if this is not an allowed answer to the question."""
        if choice is not None and choice not in (self.asked.choices or ()):
            listed = ", ".join(self.asked.choices or ()) or "none: answer with a text"
            raise Invalid("not-a-choice", f"choose one of the question's choices ({listed})")
        if text is not None and not self.asked.free_text:
            raise Invalid("no-free-text", f"choose one of: {', '.join(self.asked.choices or ())}")

    def default_answer(self, by: str) -> AnsweredData | None:
        """The answer recorded on expiry; None for a question without a default."""
        default = self.asked.default
        if default is None:
            return None
        chosen = default in (self.asked.choices or ())
        return AnsweredData(
            attempt=self.asked.attempt,
            question_id=self.asked.question_id,
            choice=default if chosen else None,
            text=None if chosen else default,
            by=by,
            cause="expired",
        )

    def expired(self, at: datetime) -> bool:
        """Whether its deadline has passed at `at`."""
        return self.asked.expires_at is not None and self.asked.expires_at <= at


def given(answer: AnsweredData) -> str:
    """The answer as text, as the job receives it."""
    return answer.choice if answer.choice is not None else answer.text or ""


class QuestionRead(BaseModel):
    """The view of a question. After `expires_at` its `default` is recorded.

    Without one it stays open for a late answer, but its job is expected to have gone on.
    """

    question_id: str
    text: str
    choices: list[str] | None
    free_text: bool
    asked_at: datetime
    expires_at: datetime | None
    default: str | None

    def waits(self, at: datetime) -> bool:
        """Whether the job is expected to wait for the answer at `at`."""
        return self.default is not None or self.expires_at is None or at < self.expires_at


class QuestionStateRead(QuestionRead):
    """A question with its state.

    `open`: it waits for an answer, even after its deadline (`expired`). `closed`: its attempt has ended or
    was asked to stop. `answer` is the choice or the text, `by` its actor; `cause` `expired`: it is the
    default.
    """

    task_id: TaskId
    attempt: int
    state: QuestionState
    expired: bool
    answer: str | None = None
    by: str | None = None
    cause: AnswerCause | None = None
    answered_at: datetime | None = None


def question_read(question: Question | None) -> QuestionRead | None:
    """The view of an open question inside its task; None without one."""
    return QuestionRead(**_fields(question)) if question is not None else None


def question_state(task_id: TaskId, question: Question, *, is_open: bool, now: datetime) -> QuestionStateRead:
    """The view of a single question at `now`."""
    asked, answer = question.asked, question.answer
    state: QuestionState = "answered" if answer is not None else "open" if is_open else "closed"
    shown = QuestionStateRead(
        **_fields(question),
        task_id=task_id,
        attempt=asked.attempt,
        state=state,
        expired=answer.cause == "expired" if answer is not None else question.expired(now),
    )
    if answer is not None:
        shown.answer, shown.by, shown.cause = given(answer), answer.by, answer.cause
        shown.answered_at = question.answered_at
    return shown


def _fields(question: Question) -> dict[str, Any]:
    asked = question.asked
    return {
        "question_id": asked.question_id,
        "text": asked.text,
        "choices": asked.choices,
        "free_text": asked.free_text,
        "asked_at": question.at,
        "expires_at": asked.expires_at,
        "default": asked.default,
    }
