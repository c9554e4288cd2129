"""The timer of an attempt: armed when it is submitted, renewed while the attempt is open.

Its note carries the watchdog's state from one check to the next, so that no process has to keep it: the
deadline for a runner to take the attempt, and then the last known heartbeat of that runner.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.identifiers import RunnerId, TaskId
from domain.ports.queues import Deadline
from domain.runners.liveness import Sighting

KIND = "attempt"


class Note(BaseModel):
    """`submit_by` applies until a runner takes the attempt, the other fields from then on.

    `kept`: the runner is lost, and the lock is kept for an operator.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    submit_by: datetime | None = None
    runner_id: RunnerId | None = None
    instance: str | None = None
    bound_at: datetime | None = None
    counter: int | None = None
    stored_at: datetime | None = None
    kept: bool = False

    @property
    def sighting(self) -> Sighting | None:
        """The newest known heartbeat of the runner."""
        if self.counter is None or self.stored_at is None:
            return None
        return Sighting(self.counter, self.stored_at)

    def encoded(self) -> bytes:
        """The note as stored in a timer."""
        return self.model_dump_json(exclude_defaults=True).encode()


def parse_note(raw: bytes) -> Note:
    """The note of a timer; an unreadable one is empty, and the attempt is then judged afresh."""
    try:
        return Note.model_validate_json(raw or b"{}")
    except ValidationError:
        return Note()


def attempt_timer(task_id: TaskId, attempt: int) -> Deadline:
    """The timer of an attempt."""
    return Deadline(KIND, task_id, attempt)
