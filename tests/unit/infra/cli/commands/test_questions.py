"""`towpath ask`, `answer`, `questions`: what they send, print and end with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.infra.cli.conftest import Towpath, environment
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.screen import CTRL_C, on_screen
from tests.unit.infra.cli.shapes import TASK_ID, TIME, event, task_read

JOB = {
    "TOWPATH_TASK_ID": TASK_ID,
    "TOWPATH_ATTEMPT": "2",
    "TOWPATH_RUNNER_ID": "r1",
    "TOWPATH_JOB_TOKEN": "job.2.x",
}
QUESTION: dict[str, Any] = {
    "question_id": "q1",
    "text": "Deploy?",
    "choices": ["yes", "no"],
    "free_text": False,
    "asked_at": TIME,
    "expires_at": None,
    "default": None,
}
PLACE = f"POST /runner/tasks/{TASK_ID}/questions"


def _state(state: str, **fields: Any) -> dict[str, Any]:
    shown = {**QUESTION, "task_id": TASK_ID, "attempt": 2, "state": state, "expired": False, "answer": None}
    return {**shown, **fields}


def _problem(code: str) -> dict[str, Any]:
    return {"type": f"urn:towpath:problem:{code}", "status": 409, "detail": "not now", "code": code}


def test_ask_sends_all_that_is_given_and_prints_the_answer(api: FakeApi, towpath: Towpath) -> None:
    api.answers[PLACE] = 201, _state("answered", answer="yes")
    done = towpath(
        "ask", "Deploy?", "--choice", "yes", "--choice", "no", "--expires", "1h", "--default", "no", **JOB
    )
    assert (done.returncode, done.stdout) == (0, "yes\n")
    (sent,) = api.seen
    assert len(sent.body.pop("question_id")) == 36
    assert sent.body == {
        "text": "Deploy?",
        "choices": ["yes", "no"],
        "free_text": False,
        "expires_seconds": 3600.0,
        "default": "no",
        "attempt": 2,
        "runner_id": "r1",
    }
    assert sent.headers["x-runner-token"] == "job.2.x"
    assert "authorization" not in sent.headers


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((201, _state("closed")), 6),
        ((201, _state("open", expired=True)), 8),
        ((409, _problem("ended")), 6),
        ((409, _problem("cancel-requested")), 6),
        ((409, _problem("question-open")), 1),
        ((401, _problem("unauthorised")), 4),
    ],
)
def test_how_ask_ends_without_an_answer(
    api: FakeApi, towpath: Towpath, answer: tuple[int, Any], code: int
) -> None:
    api.answers[PLACE] = answer
    done = towpath("ask", "Deploy?", "--choice", "yes", **JOB)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr


def test_ask_without_a_job_token_says_what_is_missing(api: FakeApi, towpath: Towpath) -> None:
    api.answers[PLACE] = 401, _problem("unauthorised")
    env = {name: value for name, value in JOB.items() if name != "TOWPATH_JOB_TOKEN"}
    done = towpath("ask", "Deploy?", "--choice", "yes", **env)
    assert (done.returncode, done.stdout) == (4, "")
    assert "TOWPATH_JOB_TOKEN" in done.stderr
    assert "towpath lock" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("Go?", "--choice", "yes"), {}),
        (("Go?",), JOB),
        (("Go?", "--choice", "yes", "--default", "yes"), JOB),
    ],
)
def test_ask_refuses_what_cannot_work(
    api: FakeApi, towpath: Towpath, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    assert towpath("ask", *arguments, **env).returncode == 2
    assert api.seen == []


def test_answer_sends_a_choice_or_a_text(api: FakeApi, towpath: Towpath) -> None:
    api.task = task_read(status="running", question=QUESTION)
    api.answers[f"POST /tasks/{TASK_ID}/questions/q1/answer"] = 200, _state("answered", answer="yes")
    assert towpath("answer", TASK_ID, "yes").returncode == 0
    assert towpath("answer", TASK_ID, "--text", "later").returncode == 0
    assert [one.body for one in api.seen if one.method == "POST"] == [{"choice": "yes"}, {"text": "later"}]


def test_answer_without_a_terminal_names_the_choices(api: FakeApi, towpath: Towpath) -> None:
    api.task = task_read(status="running", question=QUESTION)
    done = towpath("answer", TASK_ID)
    assert done.returncode == 2
    assert "yes, no" in done.stderr


def test_ctrl_c_at_a_question_ends_as_anywhere(api: FakeApi) -> None:
    api.task = task_read(status="running", question=QUESTION)
    code, shown = on_screen(["answer", TASK_ID], environment(api), [("its number: ", CTRL_C)])
    assert code == 130
    assert "Aborted" not in shown
    code, shown = on_screen(
        ["answer", TASK_ID], environment(api), [("number: ", "maybe\n"), ("number: ", "\x04")]
    )
    assert code == 1
    assert "that is none of: yes, no" in shown
    assert all(one.method == "GET" for one in api.seen)


def test_answer_says_where_nothing_is_asked(api: FakeApi, towpath: Towpath) -> None:
    api.task = task_read(status="running")
    done = towpath("answer", TASK_ID, "yes")
    assert done.returncode == 6
    assert "no open question" in done.stderr


def test_answer_says_who_was_faster(api: FakeApi, towpath: Towpath) -> None:
    api.task = task_read(status="running")
    api.log = [event("answered", choice="no", text=None, by="operator:bob", cause="person")]
    done = towpath("answer", TASK_ID, "yes")
    assert done.returncode == 6
    assert done.stderr.endswith("no open question; the last one was answered: no, by bob (operator)\n")


def test_questions_are_listed_the_oldest_first_and_last_those_whose_time_is_over(
    api: FakeApi, towpath: Towpath
) -> None:
    older = {**QUESTION, "text": "Older?", "asked_at": "2026-02-01T12:00:00Z"}
    over = {**older, "text": "Over?", "expires_at": "2026-02-01T13:00:00Z", "default": None}
    tasks = [task_read(question=one) for one in (over, QUESTION, older)]
    api.answers["GET /tasks"] = 200, {"items": tasks, "next_cursor": None}
    done = towpath("questions", "-o", "jsonl")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["Older?", "Deploy?", "Over?"]
    assert api.seen[-1].query[0] == ("asking", "true")
    shown = towpath("questions").stdout
    assert "yes / no" in shown
    assert "over, " in shown
