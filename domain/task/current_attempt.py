"""The current attempt of a task, and whether a report or a question is about it."""

from __future__ import annotations

from typing import Protocol

from domain.errors import refused
from domain.identifiers import RunnerId
from domain.protocol import Ask, Report
from domain.task.transitions import Status


class CurrentAttempt(Protocol):
    """As the task knows it. `attempt` is 0 before the first dispatch."""

    status: Status
    attempt: int
    runner_id: RunnerId | None
    instance: str | None


def check_attempt(task: CurrentAttempt, report: Report | Ask) -> None:
    """Refuse what a runner sends about another attempt, or as another runner or instance."""
    if task.attempt == 0:
        raise refused("not-dispatched", status=task.status.value)
    attempt = report.attempt
    if attempt is None:
        if task.attempt > 1:
            raise refused("attempt-required", attempt=task.attempt)
        attempt = task.attempt
    if attempt != task.attempt:
        code = "stale-attempt" if attempt < task.attempt else "unknown-attempt"
        raise refused(code, attempt=task.attempt)
    if task.runner_id and report.runner_id and report.runner_id != task.runner_id:
        raise refused("not-your-attempt", runner_id=task.runner_id)
    if task.instance and report.instance and report.instance != task.instance:
        raise refused("not-your-attempt", runner_id=task.runner_id, instance=task.instance)
