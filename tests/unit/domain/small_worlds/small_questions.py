"""A small world of questions: one task, two attempts, two questions, two people, a timer, all of it twice.

The real aggregate decides each step on the events so far, so a state is its history. Reports, questions,
answers and deadlines may come at any time, again, and for an attempt that is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import product
from typing import Any

from domain.errors import DomainError
from domain.evidence.history_rules import task_fault
from domain.evidence.task_trace import TaskTrace
from domain.locks.table import LockTable
from domain.log.events import EVENTS
from domain.log.record import Recorded
from domain.protocol import Ask, Report, rfc3339
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.events import TASK_EVENTS, TaskEvent
from domain.task.question import EXPIRY_ACTOR, Question
from domain.task.transitions import Status
from tests.unit.domain.samples import AT, TASK_ID, created_data
from tests.unit.domain.small_worlds.exploring import Step

OVER = AT + timedelta(minutes=1)
ATTEMPTS = (1, 2)
QUESTIONS = {"q1": "no", "q2": None}
"""The default of each; both expire at OVER."""
Act = Callable[[Task], None]


@dataclass(frozen=True, slots=True)
class Fact:
    """A recorded event."""

    name: str
    actor: str
    late: bool
    """Whether it was recorded when the questions' time was over."""
    data: str

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.data)
        return found


@dataclass(frozen=True, slots=True)
class State:
    """The log of the task, and whether the questions' time is over.

    Two logs that leave the task in the same state, `folded`, lead on alike.
    """

    log: tuple[Fact, ...] = field(compare=False)
    late: bool
    folded: Hashable

    @classmethod
    def of(cls, log: tuple[Fact, ...], late: bool) -> State:
        """The state behind `log`."""
        task = _task(log)
        asked = tuple((one.asked.question_id, one.asked.attempt, _given(one)) for one in task.questions)
        flags = task.cancel_requested, task.release_requested
        return cls(log, late, (task.status, task.attempt, *flags, task.runner_id, asked))


class QuestionWorld:
    """Everything that may happen to the task."""

    def start(self) -> State:
        task = Task.create(TASK_ID, created_data(workspace=None), at=AT, actor="ann")
        return State.of(tuple(_facts(task, late=False)), late=False)

    def at_rest(self, state: State) -> Iterable[str]:
        question = _task(state.log).open_question
        if question is not None and question.asked.default is not None and state.late:
            yield "default: a question whose time is over is never answered"

    def steps(self, state: State) -> Iterator[Step]:
        if not state.late:
            yield Step("its time is over", State.of(state.log, late=True))
        task = _task(state.log)
        if task.attempt < len(ATTEMPTS):
            yield self._step(state, "dispatch", lambda task: task.dispatch(None, at=AT, actor="ann"))
        yield self._step(state, "cancel", lambda task: task.cancel(reason=None, at=AT, actor="ann"))
        for attempt in ATTEMPTS:
            for status in ("running", "failed", "canceled"):
                yield self._step(state, f"{status} {attempt}", self._report(status, attempt))
            yield self._step(state, f"timer {attempt}", self._timer(state, attempt))
            for question_id in QUESTIONS:
                yield self._step(state, f"ask {question_id} in {attempt}", self._ask(attempt, question_id))
        for question_id, actor, choice in product(QUESTIONS, ("ann", "bob"), ("yes", "no")):
            label = f"{actor} answers {choice} to {question_id}"
            yield self._step(state, label, self._answer(question_id, actor, choice))

    def _step(self, state: State, label: str, act: Act) -> Step:
        task = _task(state.log)
        try:
            act(task)
        except DomainError:
            return Step(label, state, due=label.startswith("timer"))
        new = list(_facts(task, state.late))
        after = State.of((*state.log, *new), state.late) if new else state
        broken = tuple(_broken(after)) if new else ()
        claimed = tuple(self._not_kept(after, label))
        return Step(label, after, due=label.startswith("timer"), broken=(*broken, *claimed))

    def _not_kept(self, after: State, label: str) -> Iterator[str]:
        """An answer that was acknowledged stands in the log."""
        actor, *rest = label.split()
        if rest[:1] == ["answers"]:
            _, choice, _, question_id = rest
            answer = _task(after.log).question(question_id).answer
            if answer is None or (answer.by, answer.choice) != (actor, choice):
                yield "first: an answer that was taken is not the one that stands"

    @staticmethod
    def _report(status: str, attempt: int) -> Act:
        report = Report.model_validate({"status": status, "attempt": attempt, "runner_id": "r1"})
        return lambda task: _ignore(
            task.report(report, grant=GrantKnowledge.HELD, transport="nats", at=AT, actor="runner:r1")
        )

    @staticmethod
    def _timer(state: State, attempt: int) -> Act:
        at = OVER if state.late else AT
        return lambda task: task.question_expired(attempt, at=at, actor=EXPIRY_ACTOR)

    @staticmethod
    def _ask(attempt: int, question_id: str) -> Act:
        ask = Ask(
            question_id=question_id,
            text="Go?",
            choices=["yes", "no"],
            attempt=attempt,
            expires_at=OVER,
            default=QUESTIONS[question_id],
        )
        return lambda task: task.ask(ask, at=AT, actor="job")

    @staticmethod
    def _answer(question_id: str, actor: str, choice: str) -> Act:
        return lambda task: task.answer(question_id, choice, None, at=AT, actor=actor)


def _task(log: tuple[Fact, ...]) -> Task:
    task: Task | None = None
    for number, fact in enumerate(log, start=1):
        task = _event(number, fact).mutate(task)
    assert task is not None
    return task


def _given(question: Question) -> tuple[str | None, str] | None:
    return (question.answer.choice, question.answer.by) if question.answer is not None else None


def _broken(state: State) -> Iterator[str]:
    """What the rules of histories say about the last event, and that nothing is asked or answered twice."""
    *before, last = _recorded(state)
    trace, table = TaskTrace(), LockTable()
    for event in before[1:]:
        trace.follow(event)
    fault = task_fault(trace, last, table) if before else None
    if fault is not None:
        yield f"history: {fault}"
    for name in ("asked", "answered"):
        ids = [fact.content["question_id"] for fact in state.log if fact.name == name]
        if len(set(ids)) < len(ids):
            yield f"once: a question was {name} twice"
    status = trace.status
    if last.event in ("asked", "answered") and status is not Status.RUNNING:
        yield f"running: {last.event} in status {status}"


def _recorded(state: State) -> list[Recorded]:
    return [
        Recorded(
            seq=number,
            kind="task",
            subject_id=TASK_ID,
            event=fact.name,
            id=f"e{number}",
            version=number,
            attempt=fact.content.get("attempt"),
            time=rfc3339(OVER if fact.late else AT),
            actor=fact.actor,
            chain="",
            data=fact.content,
        )
        for number, fact in enumerate(state.log, start=1)
    ]


@cache
def _event(version: int, fact: Fact) -> TaskEvent:
    data = EVENTS["task", fact.name].model_validate_json(fact.data)
    fields: dict[str, Any] = {"originator_topic": "towpath.task"} if fact.name == "created" else {}
    return TASK_EVENTS[fact.name](
        originator_id=TASK_ID, originator_version=version, timestamp=AT, actor=fact.actor, data=data, **fields
    )


def _facts(task: Task, late: bool) -> Iterator[Fact]:
    for event in task.pending_events:
        assert isinstance(event, TaskEvent)
        yield Fact(event.NAME, event.actor, late, event.data.model_dump_json())


def _ignore(_: object) -> None:
    """What a report answers plays no part here."""
