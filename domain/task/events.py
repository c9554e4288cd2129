"""The aggregate's events: what each recorded event assigns to a task.

Applying an event checks no rule: replaying the same events always gives the same task. `domain.log.events`
defines the stored form; this module applies the same data.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from eventsourcing.domain import CanInitAggregate, CanMutateAggregate, MetaDomainEvent
from eventsourcing.utils import register_topic

from domain.log import events as data
from domain.task.question import Question
from domain.task.transitions import Status

if TYPE_CHECKING:
    from domain.task.aggregate import Task


class TaskEvent(CanMutateAggregate[str], metaclass=MetaDomainEvent):
    """One event of one task; `timestamp` is the time in its envelope, `actor` who caused it."""

    originator_id: str
    originator_version: int
    timestamp: datetime
    actor: str
    data: Any

    TOPIC: ClassVar[str]
    NAME: ClassVar[str]

    @staticmethod
    def create_timestamp() -> datetime:
        """Refuse: the caller passes the time."""
        raise TypeError("an event needs a timestamp: the domain reads no clock")

    def apply(self, aggregate: Task) -> None:
        """Assign this event's data to the task."""


class Created(TaskEvent, CanInitAggregate[str]):
    originator_topic: str
    TOPIC: ClassVar[str] = "towpath.task.created"
    NAME: ClassVar[str] = "created"
    data: data.CreatedData

    def apply(self, aggregate: Task) -> None:
        aggregate.spec = self.data


class Dispatched(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.dispatched"
    NAME: ClassVar[str] = "dispatched"
    data: data.DispatchedData

    def apply(self, aggregate: Task) -> None:
        aggregate.begin_attempt(self.data, self.timestamp)


class Queued(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.queued"
    NAME: ClassVar[str] = "queued"
    data: data.QueuedData

    def apply(self, aggregate: Task) -> None:
        aggregate.status = Status.QUEUED
        aggregate.queued_at = self.timestamp
        aggregate.runner_id = self.data.runner_id
        aggregate.instance = self.data.instance


class Running(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.running"
    NAME: ClassVar[str] = "running"
    data: data.RunningData

    def apply(self, aggregate: Task) -> None:
        aggregate.status = Status.RUNNING
        aggregate.started_at = self.data.started_at
        aggregate.runner_id = self.data.runner_id or aggregate.runner_id
        aggregate.instance = self.data.instance or aggregate.instance


class Succeeded(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.succeeded"
    NAME: ClassVar[str] = "succeeded"
    data: data.SucceededData

    def apply(self, aggregate: Task) -> None:
        _end(aggregate, Status.SUCCEEDED, self.data)
        aggregate.exit_code = self.data.exit_code


class Failed(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.failed"
    NAME: ClassVar[str] = "failed"
    data: data.FailedData

    def apply(self, aggregate: Task) -> None:
        _end(aggregate, Status.FAILED, self.data)
        aggregate.exit_code = self.data.exit_code
        aggregate.reason = self.data.reason


class CancelRequested(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.cancel-requested"
    NAME: ClassVar[str] = "cancel-requested"
    data: data.CancelRequestedData

    def apply(self, aggregate: Task) -> None:
        aggregate.cancel_requested = True


class Canceled(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.canceled"
    NAME: ClassVar[str] = "canceled"
    data: data.CanceledData

    def apply(self, aggregate: Task) -> None:
        _end(aggregate, Status.CANCELED, self.data)
        aggregate.reason = self.data.reason


class SubmitFailed(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.submit-failed"
    NAME: ClassVar[str] = "submit-failed"
    data: data.SubmitFailedData

    def apply(self, aggregate: Task) -> None:
        aggregate.status = Status.SUBMIT_FAILED
        aggregate.finished_at = self.timestamp
        aggregate.message = self.data.message
        aggregate.reason = self.data.reason


class LockReleaseRequested(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.lock-release-requested"
    NAME: ClassVar[str] = "lock-release-requested"
    data: data.LockReleaseRequestedData

    def apply(self, aggregate: Task) -> None:
        aggregate.release_requested = True


class Asked(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.asked"
    NAME: ClassVar[str] = "asked"
    data: data.AskedData

    def apply(self, aggregate: Task) -> None:
        aggregate.questions = (*aggregate.questions, Question(self.data, self.timestamp))


class Answered(TaskEvent):
    TOPIC: ClassVar[str] = "towpath.task.answered"
    NAME: ClassVar[str] = "answered"
    data: data.AnsweredData

    def apply(self, aggregate: Task) -> None:
        *earlier, last = aggregate.questions
        aggregate.questions = (*earlier, replace(last, answer=self.data, answered_at=self.timestamp))


def _end(task: Task, status: Status, end: data.SucceededData | data.CanceledData) -> None:
    task.status = status
    task.finished_at = end.finished_at
    task.message = end.message
    task.output_tail = end.output_tail
    task.runner_id = end.runner_id or task.runner_id


TASK_EVENTS: dict[str, type[TaskEvent]] = {
    event.NAME: event
    for event in (
        Created, Dispatched, Queued, Running, Succeeded, Failed,
        CancelRequested, Canceled, SubmitFailed, LockReleaseRequested, Asked, Answered,
    )
}  # fmt: skip

for _event in TASK_EVENTS.values():
    register_topic(_event.TOPIC, _event)
