"""The pauses of a timeout: how long questions of an attempt were open.

Only differences of recorded times count, so the clocks of control plane and runner need not agree. A pause
ends with the answer, or at the question's `expires_at`: after that the job no longer waits.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import Field

from domain.protocol import AttemptNumber, Wire

if TYPE_CHECKING:
    from domain.task.aggregate import Task


class Pauses(Wire):
    """How far the deadline of an attempt with `timeout_pauses` has moved."""

    attempt: AttemptNumber
    ended_seconds: float = Field(ge=0, allow_inf_nan=False, description="Sum of the pauses that are over.")
    open: bool = Field(description="Whether a question is open.")
    open_at_most_seconds: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="From asking to its expiry, if it expires."
    )

    @property
    def most_seconds(self) -> float:
        """How far the deadline moves if the open question is not answered earlier; may be infinite."""
        if not self.open:
            return self.ended_seconds
        most = self.open_at_most_seconds
        return math.inf if most is None else self.ended_seconds + most


def pause_seconds(asked_at: datetime, *ends: datetime | None) -> float | None:
    """From `asked_at` to the first of the known `ends`; None without one."""
    known = [end for end in ends if end is not None]
    return max(0.0, (min(known) - asked_at).total_seconds()) if known else None


def pauses_of(task: Task, attempt: int) -> Pauses:
    """The pauses of one attempt of `task`."""
    ended = 0.0
    for question in task.questions:
        if question.asked.attempt == attempt and question.answered_at is not None:
            ended += pause_seconds(question.at, question.answered_at, question.asked.expires_at) or 0.0
    now = task.open_question
    if now is None or now.asked.attempt != attempt:
        return Pauses(attempt=attempt, ended_seconds=ended, open=False)
    most = pause_seconds(now.at, now.asked.expires_at)
    return Pauses(attempt=attempt, ended_seconds=ended, open=True, open_at_most_seconds=most)
