"""Deadlock by nesting: a claim that waits for the task in whose command this program runs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from towpath_client.calls import Deadline
from towpath_client.steps import Operation
from towpath_client.tasks import get

MOST_LOOKS = 100


def tasks_around() -> list[str]:
    """The tasks in whose commands this program runs."""
    own = os.environ.get("TOWPATH_TASK_ID")
    return [*os.environ.get("TOWPATH_AROUND_TASK_IDS", "").split(), *([own] if own else [])]


def outer_lock(
    blocked_by: Sequence[str], around: Sequence[str], seen: set[str], call_seconds: float
) -> Operation[str | None]:
    """The task of `around` that a claim behind `blocked_by` waits for, perhaps behind others.

    `seen`: tasks that were looked at; one that waits gets no further ones to wait for.
    """
    reached = sorted(blocked_by, key=lambda name: name not in around) if around else []
    for name in reached:
        if name in around:
            return name
        if name not in seen and len(seen) < MOST_LOOKS:
            seen.add(name)
            reached += (yield from get(name, Deadline(call_seconds))).lock.blocked_by
    return None
