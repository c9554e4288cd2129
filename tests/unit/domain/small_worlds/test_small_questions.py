"""Every order of a question, two people, its time, a cancel and the end of its attempt keeps the promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.task.aggregate import Task
from tests.unit.domain.small_worlds.exploring import explore
from tests.unit.domain.small_worlds.small_questions import QuestionWorld


def test_every_order_keeps_the_promises() -> None:
    found = explore(QuestionWorld(), limit=60_000)
    assert found.broken == {}
    assert found.states > 500
    assert found.resting > 0


def _nothing(*_: Any, **__: Any) -> None:
    """Knows nothing, refuses nothing, does nothing."""


_answer = Task.answer


def _only_the_first(task: Task, question_id: str, *given: Any, **named: Any) -> None:
    """A later answer is taken, and lost."""
    if task.question(question_id).answer is None:
        _answer(task, question_id, *given, **named)


@pytest.mark.parametrize(
    ("method", "fault", "promise"),
    [
        ("_known_question", _nothing, "history: question q1 was asked before"),
        ("_refuse_stopping", _nothing, "history: asked was recorded after a cancel"),
        ("answer", _only_the_first, "first"),
        ("_may_ask", lambda _, asked: asked, "history: it was asked while question"),
        ("question_expired", _nothing, "default"),
    ],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, method: str, fault: Callable[..., Any], promise: str
) -> None:
    monkeypatch.setattr(Task, method, fault)
    found = explore(QuestionWorld(), limit=60_000, until=promise)
    assert any(text.startswith(promise) for text in found.broken), found.broken
