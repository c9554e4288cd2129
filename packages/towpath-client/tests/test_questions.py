"""A job asks with this package, and a program answers with it."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from patience import until
from towpath_client import BadConfiguration, NoOpenQuestion, QuestionClosed, problems

JOB = """
import asyncio, sys
from towpath_client import AsyncClient, Client, QuestionExpired

async def ask(*given, **options):
    async with AsyncClient() as towpath:
        return await towpath.ask(*given, **options)

options = eval(sys.argv[2])
try:
    if sys.argv[1] == "sync":
        with Client() as towpath:
            found = towpath.ask("Deploy?", ["yes", "no"], **options)
    else:
        found = asyncio.run(ask("Deploy?", ["yes", "no"], **options))
    print(found.answer, found.cause)
except QuestionExpired as error:
    print("expired")
"""


def job(client: Any, kind: str, options: str = "{}") -> str:
    task = client.create([sys.executable, "-c", JOB, kind, options], dispatch=True)
    return str(task.id)


def test_the_answer_comes_back_to_the_job(client: Any, kind: str) -> None:
    task_id = job(client, kind, "{'free_text': True}")
    question = until(lambda: client.get(task_id).question)
    assert (question.text, question.choices) == ("Deploy?", ["yes", "no"])
    until(lambda: task_id in [one.id for one in client.tasks(asking=True)])
    assert client.why(task_id).stage == "waits-for-answer"
    assert client.question(task_id, question.question_id).state == "open"
    assert "alive" in {one.state for one in client.runners()}
    answered = client.answer(task_id, text="on Monday")
    assert (answered.state, answered.answer) == ("answered", "on Monday")
    assert client.answer(task_id, text="on Monday", question_id=question.question_id).answer == "on Monday"
    with pytest.raises(problems.AlreadyAnswered) as late:
        client.answer(task_id, "no", question_id=question.question_id)
    assert late.value.extra["text"] == "on Monday"
    task = client.wait(task_id, timeout=30)
    assert task.output_tail.split() == ["on", "Monday", "person"]
    with pytest.raises(NoOpenQuestion):
        client.answer(task_id, "yes")


def test_an_answer_that_is_none_of_the_choices(client: Any, kind: str) -> None:
    task_id = job(client, kind)
    until(lambda: client.get(task_id).question)
    with pytest.raises(problems.NotAChoice):
        client.answer(task_id, "perhaps")
    with pytest.raises(problems.NoFreeText):
        client.answer(task_id, text="perhaps")
    with pytest.raises(ValueError, match="a choice"):
        client.answer(task_id)
    client.answer(task_id, "yes")
    assert client.wait(task_id, timeout=30).output_tail.split() == ["yes", "person"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{'expires_seconds': 0.5, 'default': 'no'}", "no expired\n"),
        ("{'expires_seconds': 0.5}", "expired\n"),
    ],
)
def test_a_question_that_expires(client: Any, kind: str, options: str, said: str) -> None:
    assert client.wait(job(client, kind, options), timeout=60).output_tail == said


def test_a_job_that_is_canceled_hears_it(client: Any) -> None:
    task = client.create(["sleep", "60"], dispatch=True)
    until(lambda: client.get(task.id).status == "running")

    def cancel() -> bool:
        return bool(client.get(task.id).question and client.cancel(task.id))

    canceler = threading.Thread(target=until, args=(cancel,))
    canceler.start()
    with pytest.raises(QuestionClosed):
        client.ask("Deploy?", ["yes"], task_id=task.id)
    canceler.join()


def test_only_a_job_asks(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOWPATH_TASK_ID", raising=False)
    with pytest.raises(BadConfiguration, match="TOWPATH_TASK_ID"):
        client.ask("Deploy?", ["yes"])
    for task, refusal in (
        (client.create(["true"]), problems.NotDispatched),
        (client.run(["true"]).task, problems.Ended),
    ):
        with pytest.raises(refusal):
            client.ask("Deploy?", ["yes"], task_id=task.id)
