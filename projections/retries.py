"""Process manager `retries`: begins the next attempt of tasks whose spec asks for that.

Delivery: `plan` handles each end of an attempt at least once, and acknowledges it when the timer of the
next attempt is armed. `handle` gets that timer at least once, and acknowledges it when `dispatched` is
recorded, with a compare-and-set on the task's subject, or when no attempt follows any more. So any number may
run, and a crash or redelivery begins no second attempt. While the log or the workspace is full, the timer is
redelivered.

No state is kept: a timer names the attempt that has ended, and the task tells when the next one is due. The
consumer of the log is its own: where the broker has lost it, or the timers, all ends are read again, and what
is still to come is armed.
"""

from __future__ import annotations

from typing import Protocol, get_args

from domain.identifiers import TaskId
from domain.log.events import RetryReason
from domain.log.filter import EventFilter
from domain.log.payloads import FailedPayload
from domain.log.record import Recorded
from domain.ports.log import StoredTask
from domain.ports.queues import Deadline, Due, Timers
from domain.task.retries import ACTOR

KIND = "retry"
CONSUMER = "retry"
"""Its durable consumer of the log."""
ACTED_ON = (EventFilter("task", event="failed"), EventFilter("task", event="submit-failed"))
"""The events that may lead to another attempt."""
_REASONS = frozenset(get_args(RetryReason))


class RetriedTasks(Protocol):
    """Reads tasks and begins their next attempts."""

    async def read(self, task_id: TaskId, *, attempt: int = 0, version: int = 0) -> StoredTask:
        """The task, by a linearizable read that knows `attempt` and `version`."""
        ...

    async def retry(self, task_id: TaskId, attempt: int, actor: str) -> None:
        """Begin the attempt after `attempt`, unless that is not to follow any more."""
        ...


def deadline(task_id: TaskId, attempt: int) -> Deadline:
    """The time when the attempt after `attempt` is due."""
    return Deadline(KIND, task_id, attempt)


class Retries:
    """One process manager; any number may run."""

    def __init__(self, tasks: RetriedTasks, timers: Timers) -> None:
        self._tasks = tasks
        self._timers = timers

    async def plan(self, event: Recorded) -> None:
        """Arm the timer of the attempt that follows the end `event`, if one does."""
        data: FailedPayload = event.data  # of `submit-failed` also: only fields that both have are read
        if data["reason"] not in _REASONS:
            return
        task = (await self._tasks.read(event.subject_id, version=event.version)).task
        due_at = task.next_attempt_at
        if due_at is not None and task.attempt == data["attempt"]:
            await self._timers.arm(deadline(task.id, task.attempt), due_at)

    async def handle(self, came: Due) -> None:
        """Begin the next attempt, if it still follows; one that came early is armed again.

        Raises:
            Busy: the workspace has no room for its claim now; it is redelivered.
            LogFull: the log has no room; it is redelivered.
        """
        due = came.deadline
        task = (await self._tasks.read(due.task_id, attempt=due.attempt)).task
        due_at = task.next_attempt_at
        # begun by hand or by another process, or canceled
        if task.attempt != due.attempt or due_at is None:
            return
        if came.at < due_at:
            await self._timers.arm(due, due_at)
            return
        await self._tasks.retry(due.task_id, due.attempt, ACTOR)
