"""Random lives: steps that operators, runners and the control plane may take, legal or refused."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from domain.log.events import RetryPolicy
from domain.protocol import Ask
from domain.task.aggregate import Task
from tests.contract.adapters.read_model.read_model_lives import Lives

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
ACTIONS = st.one_of(
    st.tuples(st.just("dispatch")),
    st.tuples(st.just("decide")),
    st.tuples(st.just("retry")),
    st.tuples(
        st.just("report"),
        st.sampled_from(["queued", "running", "succeeded", "failed", "canceled"]),
        st.fixed_dictionaries(
            {},
            optional={
                "runner_id": st.sampled_from(["r1", "r2"]),
                "message": TEXTS,
                "output_tail": TEXTS,
                "exit_code": st.integers(-(1 << 31), (1 << 31) - 1),
                "started_at": st.datetimes(timezones=st.timezones()),
                "finished_at": st.datetimes(timezones=st.timezones()),
            },
        ),
    ),
    st.tuples(st.just("cancel"), st.none() | TEXTS),
    st.tuples(st.just("release"), TEXTS),
    st.tuples(st.just("submit_failed"), st.sampled_from(["no-runner", "deadline"]), st.none() | TEXTS),
    st.tuples(st.just("runner_lost"), TEXTS),
    st.tuples(
        st.just("ask"),
        st.fixed_dictionaries(
            {
                "question_id": st.sampled_from(["q1", "q2"]),
                "free_text": st.just(True),
                "text": TEXTS.filter(str.strip),
            },
            optional={
                "choices": st.just(["yes", "no"]),
                "expires_at": st.datetimes(timezones=st.timezones()),
            },
        ),
    ),
    st.tuples(st.just("answer"), st.sampled_from(["q1", "q2"]), TEXTS),
)
SPECS = st.fixed_dictionaries(
    {
        "workspace": st.sampled_from(["acme", "acme", "zoo", None]),
        "title": TEXTS,
        "command": st.lists(TEXTS, min_size=1, max_size=3),
        "labels": st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=2),
        "timeout_seconds": st.none() | st.floats(0.1, 1e6),
        "on_conflict": st.sampled_from(["wait", "reject"]),
        "timeout_pauses": st.booleans(),
        "lock_wait_seconds": st.none() | st.floats(0.1, 1e6),
        "lock_mode": st.sampled_from(["exclusive", "shared"]),
        "retry": st.none()
        | st.builds(
            RetryPolicy,
            max_attempts=st.integers(2, 3),
            backoff_seconds=st.floats(0, 1e5),
            on=st.lists(st.sampled_from(["no-runner", "runner-lost", "exit"]), min_size=1),
        ),
    }
)


def _answer(task: Task, given: list[Any]) -> tuple[str | None, str | None]:
    """As a choice where the question offers it, else as a text."""
    offered = task.question(given[0]).asked.choices or ()
    return (given[1], None) if given[1] in offered else (None, given[1])


def perform(lives: Lives, task_id: str, action: tuple[Any, ...]) -> None:
    """One step of a life, legal or refused."""
    name, *given = action
    task = lives.tasks[task_id]
    common: dict[str, Any] = {"at": lives.now, "actor": "op"}
    grant = lives.table.grant(task_id, task.attempt)
    if name == "retry" and task.next_attempt_at is not None:
        workspace = task.spec.workspace
        registration = lives.table.judge.registrations.get(workspace) if workspace else None
        lives.act(task_id, lambda task: task.retry(registration, at=lives.now, actor="retry"))
    elif name == "dispatch":
        lives.dispatch(task_id)
    elif name == "decide" and task.spec.workspace:
        lives.decide(task.spec.workspace)
    elif name == "report":
        lives.report(task_id, given[0], **given[1])
    elif name == "cancel":
        lives.act(task_id, lambda task: task.cancel(reason=given[0], **common))
    elif name == "release" and grant is not None:
        token = grant.token
        lives.act(task_id, lambda task: task.request_release(task.attempt, token, reason=given[0], **common))
    elif name == "submit_failed":
        lives.act(task_id, lambda task: task.submit_failed(task.attempt, given[0], given[1], **common))
    elif name == "ask":
        ask = Ask(**given[0], attempt=task.attempt or None)
        lives.act(task_id, lambda task: task.ask(ask, **common))
    elif name == "answer":
        lives.act(task_id, lambda task: task.answer(given[0], *_answer(task, given), **common))
    elif name == "runner_lost":
        lives.act(task_id, lambda task: task.runner_lost(task.attempt, given[0], **common))
