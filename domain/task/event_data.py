"""What the events of a report, an end and a cancel record about the current attempt of a task."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.log import events as data
from domain.protocol import Report
from domain.task.current_attempt import CurrentAttempt
from domain.task.transitions import Input


def of_report(
    task: CurrentAttempt, given: Input, report: Report, transport: data.Transport, at: datetime
) -> data.EventData:
    """The data of the event that `report` becomes."""
    runner_id = report.runner_id or task.runner_id
    if given is Input.QUEUED:
        return data.QueuedData(
            attempt=task.attempt, runner_id=runner_id, transport=transport, instance=report.instance
        )
    if given is Input.RUNNING:
        return data.RunningData(
            attempt=task.attempt,
            runner_id=runner_id,
            started_at=report.started_at or at,
            pid=report.pid,
            instance=report.instance or task.instance,
        )
    if given is Input.CANCELED:
        return data.CanceledData(
            attempt=task.attempt,
            by=f"runner:{runner_id}" if runner_id else "runner",
            reason=report.reason,
            runner_id=runner_id,
            message=report.message,
            finished_at=report.finished_at or at,
            output_tail=report.output_tail,
        )
    return of_end(task, report, at)


def of_end(task: CurrentAttempt, report: Report, at: datetime) -> data.EventData:
    """The data of `succeeded` or `failed`."""
    fields: dict[str, Any] = {
        "attempt": task.attempt,
        "runner_id": report.runner_id or task.runner_id,
        "exit_code": report.exit_code,
        "message": report.message,
        "finished_at": report.finished_at or at,
        "output_tail": report.output_tail,
    }
    if report.status == "succeeded":
        return data.SucceededData(**fields)
    return data.FailedData(**fields, reason=report.failed_reason)


def of_cancel(
    task: CurrentAttempt, actor: str, reason: str | None, at: datetime, message: str | None = None
) -> data.CanceledData:
    """The data of `canceled` where the control plane ends the attempt, without a runner's report."""
    return data.CanceledData(
        attempt=task.attempt or None,
        by=actor,
        reason=reason,
        runner_id=None,
        message=message,
        finished_at=at,
        output_tail=None,
    )
