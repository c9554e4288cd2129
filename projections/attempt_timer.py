"""The timer of an attempt: armed at the grant, renewed while the attempt lives.

Its note carries what must be remembered from one look to the next, so that no process has to keep it: until
when somebody must take the attempt, and what was last known of the runner that did.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.ports.queues import Deadline
from domain.runners.liveness import Sighting

KIND = "attempt"


class Note(BaseModel):
    """`submit_by` until the attempt is taken, the rest from then on.

    `kept`: its runner is lost, and its lock is kept for an operator.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    submit_by: datetime | None = None
    runner_id: str | None = None
    instance: str | None = None
    bound_at: datetime | None = None
    counter: int | None = None
    stored_at: datetime | None = None
    kept: bool = False

    @property
    def sighting(self) -> Sighting | None:
        """The newest heartbeat known of the runner."""
        if self.counter is None or self.stored_at is None:
            return None
        return Sighting(self.counter, self.stored_at)

    def encoded(self) -> bytes:
        """As a timer carries it."""
        return self.model_dump_json(exclude_defaults=True).encode()


def parse_note(raw: bytes) -> Note:
    """The note of a timer; an empty one where it cannot be read, which only means to look afresh."""
    try:
        return Note.model_validate_json(raw or b"{}")
    except ValidationError:
        return Note()


def attempt_timer(task_id: str, attempt: int) -> Deadline:
    """The timer of an attempt."""
    return Deadline(KIND, task_id, attempt)
