"""The state of a task in words."""

from __future__ import annotations

import pytest

from infra.cli.output.event_text import short
from infra.cli.output.task_view import lock_of, status_of, took
from tests.unit.infra.cli.shapes import TASK_ID, task_read


def test_a_runner_whose_clock_went_back_took_no_negative_time() -> None:
    times = {"started_at": "2026-03-01T12:00:01Z", "finished_at": "2026-03-01T12:00:00Z"}
    assert took(task_read(**times)) == "clock of the runner: finished before it started"
    assert took(task_read(**{**times, "finished_at": "2026-03-01T12:00:02.5Z"})) == "1.5 s"


@pytest.mark.parametrize(
    ("expires_at", "default", "shown"),
    [
        (None, None, "asks"),
        ("2999-03-01T12:00:00Z", None, "asks"),
        ("2026-03-01T12:00:00Z", "no", "asks"),
        ("2026-03-01T12:00:00Z", None, "unanswered"),
    ],
)
def test_a_question_is_unanswered_after_its_time_without_a_default(
    expires_at: str | None, default: str | None, shown: str
) -> None:
    question = {"text": "Go?", "expires_at": expires_at, "default": default, "question_id": "q"}
    question |= {"choices": ["no"], "free_text": False, "asked_at": "2026-03-01T11:00:00Z"}
    assert status_of(task_read(status="running", question=question)) == f"running ({shown})"


def test_the_state_of_a_task() -> None:
    waiting = task_read(
        status="dispatched", lock={"state": "waiting", "position": 2, "blocked_by": [TASK_ID]}
    )
    assert status_of(waiting) == "dispatched (waits)"
    assert lock_of(waiting) == f"waiting, position 2, behind {short(TASK_ID)}"
    assert status_of(task_read(status="running", cancel_requested=True)) == "running (canceling)"
    assert lock_of(task_read(lock={"state": "held", "token": 41})) == "held, token 41"
