"""Status of runners: how many are lost, and whose locks wait for an operator.

For people and dashboards, by this process's clock and fold. The watchdog decides about attempts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import get_args

from api.dependencies import ApiParts
from domain.errors import Busy
from domain.identifiers import RunnerId
from domain.locks.claims import Grant
from domain.locks.view import RunnerSeen, SeeRunner
from domain.protocol import Heartbeat, Held, RunnerState
from domain.runners.liveness import heard_of_holder, in_conflict, state_of_holder
from domain.task.aggregate import Task
from domain.task.transitions import Status
from domain.task.view import TaskRead

FRESH_SECONDS = 1.0
Beats = Sequence[tuple[Heartbeat, datetime]]
"""Heartbeats of runners, and when each was stored."""


def awaiting_operator(parts: ApiParts, recent: Mapping[str, Beats]) -> dict[RunnerId, list[Held]]:
    """By runner id: attempts with a kept lock, because their runner is lost and `on_runner_lost` is `hold`.

    `recent`: the last heartbeats of each id. A living runner there may not be the one that ran the attempt.
    """
    found: dict[RunnerId, list[Held]] = {}
    now = parts.clock()
    for workspace in sorted(one.id for one in parts.view.registrations() if one.on_runner_lost == "hold"):
        for grant in parts.view.holders(workspace):
            if grant.runner_id is None or grant_state(parts, grant, recent, now) != "lost":
                continue
            held = Held(task_id=grant.claim.task_id, attempt=grant.claim.attempt)
            found.setdefault(grant.runner_id, []).append(held)
    return found


async def seen_runners(parts: ApiParts) -> SeeRunner | None:
    """Tells the state and the end of the lease of an attempt's runner; None if heartbeats cannot be read."""
    try:
        recent = await parts.heartbeats.recent()
    except Busy:
        return None
    now = parts.clock()

    def see(runner_id: RunnerId, instance: str | None, bound_at: str) -> RunnerSeen:
        bound = datetime.fromisoformat(bound_at)
        heard = heard_of_holder(recent.get(runner_id, ()), instance, bound)
        return (parts.lease.state(heard, now), heard + parts.lease.lease) if heard else (None, None)

    return see


def grant_state(
    parts: ApiParts, grant: Grant, recent: Mapping[str, Beats], now: datetime
) -> RunnerState | None:
    """The state of the runner that has the attempt of a grant."""
    bound_at = datetime.fromisoformat(grant.bound_at or grant.since)
    return state_of_holder(recent.get(grant.runner_id or "", ()), grant.instance, bound_at, now, parts.lease)


def count_runners(parts: ApiParts, recent: Mapping[str, Beats]) -> tuple[dict[RunnerState, int], int]:
    """Runners by state, and the number of locks that wait for an operator."""
    now = parts.clock()
    counted = Counter(parts.lease.state(beats[-1][1], now) for beats in recent.values())
    kept = awaiting_operator(parts, recent)
    return {state: counted[state] for state in get_args(RunnerState)}, sum(map(len, kept.values()))


def count_conflicts(parts: ApiParts, recent: Mapping[str, Beats]) -> int:
    """The number of ids that several runners use in turn, if one of them sent a heartbeat lately."""
    now = parts.clock()
    return sum(
        in_conflict(beats) and parts.lease.state(beats[-1][1], now) != "lost" for beats in recent.values()
    )


def reports_waiting(parts: ApiParts, beats: Beats) -> int:
    """Number of reports in the outboxes of runners that are not lost, by their heartbeats."""
    now = parts.clock()
    return sum(beat.outbox or 0 for beat, at in beats if parts.lease.state(at, now) != "lost")


async def show_runner_state(parts: ApiParts, task: Task, read: TaskRead) -> None:
    """Set the state of the attempt's runner, at most FRESH_SECONDS old.

    It stays null if that runner sends no heartbeats, or if they cannot be read now.
    """
    if read.status not in (Status.QUEUED, Status.RUNNING) or read.runner_id is None:
        return
    try:
        last = await parts.heartbeats.last(read.runner_id, FRESH_SECONDS, task.instance)
    except Busy:
        return
    bound_at = task.queued_at or task.modified_on
    recent = [last] if last is not None else []
    read.runner_state = state_of_holder(recent, task.instance, bound_at, parts.clock(), parts.lease)
