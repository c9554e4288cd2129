"""Retries: whether another attempt follows one that has ended, and when.

Every reader of the log computes the same time: the pause counts from the time of the end's event, and its
jitter is a hash of task and attempt, so no event records it. `projections/retries.py` begins the attempt.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

from domain.backoff import Backoff
from domain.identifiers import TaskId
from domain.log.events import RetryPolicy
from domain.task.transitions import Status

ACTOR = "retry"
"""The actor of the attempts that retries begin."""
LONGEST_SECONDS = 3600.0
"""Pauses double up to this, or stay at `backoff_seconds` if that is longer."""
JITTER = 0.25
"""The longest random part of a pause, as a share of it: tasks that failed at once do not return at once."""


def retried(
    policy: RetryPolicy | None, status: Status, attempt: int, reason: str | None, *, stopped: bool, hold: bool
) -> bool:
    """Whether another attempt follows by itself.

    `stopped`: a cancel or the release of its lock was requested. `hold`: its workspace keeps the lock of a
    lost runner for an operator, who then decides.
    """
    if policy is None or stopped or status not in (Status.FAILED, Status.SUBMIT_FAILED):
        return False
    return attempt < policy.max_attempts and reason in policy.on and not (hold and reason == "runner-lost")


def next_at(policy: RetryPolicy, task_id: TaskId, attempt: int, ended_at: datetime) -> datetime:
    """When the attempt after `attempt` is due."""
    longest = max(LONGEST_SECONDS, policy.backoff_seconds)
    pause = Backoff(policy.backoff_seconds, longest).after(attempt)
    digest = blake2b(f"{task_id}.{attempt}".encode(), digest_size=4).digest()
    share = int.from_bytes(digest) / 2**32
    return ended_at + timedelta(seconds=pause * (1 + JITTER * share))
