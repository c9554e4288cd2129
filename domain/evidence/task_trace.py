"""The part of a task's state that the history rules need, folded from events that may break them."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.identifiers import RunnerId
from domain.log.events import RetryPolicy
from domain.log.payloads import (
    AskedPayload,
    BoundPayload,
    CreatedPayload,
    DispatchedPayload,
    FailedPayload,
    RetryPayload,
)
from domain.log.record import Recorded
from domain.task import retries
from domain.task.transitions import TERMINAL, Status

STARTS = frozenset({"queued", "running"})
_STATUS_OF = {status.value: status for status in Status}
_FAILS = frozenset({"failed", "submit-failed"})


@dataclass(slots=True)
class TaskTrace:
    """One task's trace; `of` begins it, `follow` goes on."""

    status: Status = Status.CREATED
    attempt: int = 0
    runner_id: RunnerId | None = None
    locked: bool = False
    cancel_requested: bool = False
    release_requested: bool = False
    refused: str | None = None
    """The reason of the current attempt's `refused`; the check of lock facts assigns it."""
    question: AskedPayload | None = None
    """The payload of the open `asked`."""
    asked: list[str] = field(default_factory=list)
    """The ids of all questions."""
    retry: RetryPayload | None = None
    """The retry policy of the task."""
    reason: str | None = None
    """Why the last attempt failed."""
    hold: bool = False
    """The lock of the attempt is kept for an operator if its runner is lost."""
    ended_at: str = ""
    """When the last attempt failed, by the clock of the process that recorded it."""

    @classmethod
    def of(cls, created: Recorded) -> TaskTrace:
        """The trace of a task after its `created`."""
        data: CreatedPayload = created.data
        return cls(retry=data.get("retry"))

    @property
    def ended(self) -> bool:
        """Whether the current attempt has ended."""
        return self.status in TERMINAL

    @property
    def retried(self) -> bool:
        """Whether the next attempt follows by itself."""
        if self.retry is None:
            return False
        policy = RetryPolicy.model_validate(self.retry)
        stopped = self.cancel_requested or self.release_requested
        return retries.retried(
            policy, self.status, self.attempt, self.reason, stopped=stopped, hold=self.hold
        )

    def follow(self, event: Recorded) -> None:
        """Apply an event, whether or not it breaks a rule."""
        name = event.event
        status = _STATUS_OF.get(name)
        if status is not None:
            self.status = status
        if name == "dispatched":
            dispatched: DispatchedPayload = event.data
            self.attempt = dispatched["attempt"]
            self.locked = dispatched["workspace"] is not None
            self.runner_id = None
            self.cancel_requested = self.release_requested = False
            self.refused = self.question = None
            self.hold = dispatched.get("on_runner_lost") == "hold"
        elif name in STARTS:
            bound: BoundPayload = event.data
            self.runner_id = bound["runner_id"] or self.runner_id
        elif name in _FAILS:
            failed: FailedPayload = event.data  # of `submit-failed` also: both have a reason
            self.reason, self.ended_at = failed["reason"], event.time
        elif name == "cancel-requested":
            self.cancel_requested = True
        elif name == "lock-release-requested":
            self.release_requested = True
        elif name == "asked":
            question: AskedPayload = event.data
            self.question = question
            self.asked.append(question["question_id"])
        elif name == "answered":
            self.question = None
