"""Operations on questions: a job asks a person and waits, a person's program answers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from uuid import uuid4

from towpath_client.calls import Deadline, call, parsed
from towpath_client.errors import BadConfiguration, NoOpenQuestion, QuestionClosed, QuestionExpired
from towpath_client.models import Question, QuestionState
from towpath_client.steps import Operation, Request, path
from towpath_client.tasks import TaskId, get

POLL_SECONDS = 20.0
RUNNER_TOKEN = "X-Runner-Token"  # noqa: S105 - a header


def ask(
    text: str,
    choices: Sequence[str] | None,
    free_text: bool,
    expires_seconds: float | None,
    default: str | None,
    task_id: TaskId | None,
    job_token: str | None,
    question_id: str | None,
    timeout: float | None,
    call_seconds: float,
) -> Operation[Question]:
    """Ask from within a task's job, and wait until it is answered."""
    deadline = Deadline(timeout)
    name = str(task_id) if task_id is not None else os.environ.get("TOWPATH_TASK_ID")
    if not name:
        raise BadConfiguration("a job asks: TOWPATH_TASK_ID is not set; else give `task_id`")
    headers = {RUNNER_TOKEN: job_token} if job_token is not None else {}
    question_id = question_id if question_id is not None else str(uuid4())
    body = {
        "question_id": question_id,
        "text": text,
        "choices": list(choices) if choices is not None else None,
        "free_text": free_text,
        "expires_seconds": expires_seconds,
        "default": default,
        **(_attempt() if task_id is None else {}),
    }
    given = {field: value for field, value in body.items() if value is not None}
    request = Request("POST", path("runner", "tasks", name, "questions"), body=given, headers=headers)
    first = Deadline(min(call_seconds, deadline.left))
    found = parsed(Question, (yield from call(request, first, repeatable=True)))
    return (yield from _answered(found, name, headers, deadline, call_seconds))


def _attempt() -> Mapping[str, object]:
    number = os.environ.get("TOWPATH_ATTEMPT", "")
    attempt = int(number) if number.isascii() and number.isdigit() else None
    return {"attempt": attempt, "runner_id": os.environ.get("TOWPATH_RUNNER_ID") or None}


def _answered(
    found: Question, task_id: str, headers: Mapping[str, str], deadline: Deadline, call_seconds: float
) -> Operation[Question]:
    while found.state == QuestionState.OPEN:
        if found.expired and found.default is None:
            raise QuestionExpired(f"no answer came in time to: {found.text}")
        if deadline.left <= 0:
            raise deadline.error("no answer came")
        wait = min(POLL_SECONDS, deadline.left)
        place = path("tasks", task_id, "questions", found.question_id)
        request = Request("GET", place, {"wait": f"{wait:.3f}"}, headers=headers, seconds=wait + 10)
        answer = yield from call(request, Deadline(wait + call_seconds), repeatable=True)
        found = parsed(Question, answer)
    if found.state == QuestionState.CLOSED:
        raise QuestionClosed("the attempt that asks has ended, or was asked to stop")
    return found


def answer(
    task_id: TaskId, choice: str | None, text: str | None, question_id: str | None, deadline: Deadline
) -> Operation[Question]:
    """Answer the task's open question, or the named one. The first answer stands, so it may be repeated."""
    if (choice is None) == (text is None):
        raise ValueError("give a choice, or `text`")
    if question_id is None:
        task = yield from get(task_id, deadline)
        if task.question is None:
            raise NoOpenQuestion(f"task {task.id} asks nothing at present")
        question_id = task.question.question_id
    body = {"choice": choice} if choice is not None else {"text": text}
    request = Request("POST", path("tasks", task_id, "questions", question_id, "answer"), body=body)
    return parsed(Question, (yield from call(request, deadline, repeatable=True)))


def question(task_id: TaskId, question_id: str, deadline: Deadline) -> Operation[Question]:
    """A question as it is now."""
    request = Request("GET", path("tasks", task_id, "questions", question_id))
    return parsed(Question, (yield from call(request, deadline, repeatable=True)))
