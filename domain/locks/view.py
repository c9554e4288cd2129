"""The view of a workspace's locks: holders, and waiters in order with what blocks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from domain.identifiers import FencingToken, RunnerId, TaskId, WorkspaceId
from domain.locks.claims import Claim, Grant, Waiter
from domain.locks.table import LockTable
from domain.locks.workspace_locks import MOST_NAMED
from domain.protocol import LockMode, RunnerState, rfc3339

RunnerSeen = tuple[RunnerState | None, datetime | None]
"""The state of the runner that has an attempt, and until when its lease is valid."""
SeeRunner = Callable[[RunnerId, str | None, str], RunnerSeen]
"""Tells it for a runner, its instance, and when the attempt was bound to it."""


class HolderRead(BaseModel):
    """An attempt that holds its claim; `token` is its fencing token, `since` the time of its grant.

    `lease_until`: when its runner's lease ends without another heartbeat. That and `runner_state` are null
    where no runner has the attempt, or where heartbeats are unknown, as in the past.
    """

    task_id: TaskId
    attempt: int
    runner_id: RunnerId | None
    paths: list[str]
    mode: LockMode
    token: FencingToken
    since: datetime
    runner_state: RunnerState | None = None
    lease_until: datetime | None = None


class WaiterRead(BaseModel):
    """A claim that waits; `position` 1 is next, `blocked_by` names the first hundred tasks that block it.

    `gives_up_at`: when its `lock_wait_seconds` are over, if it has any.
    """

    task_id: TaskId
    attempt: int
    paths: list[str]
    mode: LockMode
    position: int
    blocked_by: list[TaskId]
    since: datetime
    gives_up_at: datetime | None = None


class LockEntry(BaseModel):
    """The locks of one workspace. `paths` [] means the whole workspace."""

    workspace: WorkspaceId
    holders: list[HolderRead]
    waiters: list[WaiterRead]


def lock_entry(table: LockTable, workspace: WorkspaceId) -> LockEntry:
    """The entry of one workspace; empty lists if it has no open claims."""
    return LockEntry.model_construct(
        workspace=workspace,
        holders=[_holder(grant) for grant in table.holders(workspace)],
        waiters=[_waiter(waiter) for waiter in table.waiters(workspace)],
    )


class EntryPicture:
    """A frozen copy of `lock_entry` as JSON data, to be written row by row.

    An entry may hold some hundred thousand paths and names. The copy costs little for each claim; the reader
    of the rows may yield to other tasks in between, while the table changes.
    """

    def __init__(self, table: LockTable, workspace: WorkspaceId) -> None:
        self.workspace = workspace
        self._holders = [
            (one.claim, one.runner_id, one.token, one.since, one.instance, one.bound_at)
            for one in table.holders(workspace)
        ]
        self._waiters, self._crowd = table.crowd(workspace)

    @property
    def bound(self) -> bool:
        """Whether a runner has one of the holders."""
        return any(runner_id for _, runner_id, *_ in self._holders)

    def holders(self, see: SeeRunner | None = None) -> Iterator[dict[str, Any]]:
        """Rows of holders; `see` tells about their runners."""
        for claim, runner_id, token, since, instance, bound_at in self._holders:
            state, until = see(runner_id, instance, bound_at or since) if see and runner_id else (None, None)
            yield {
                "task_id": claim.task_id,
                "attempt": claim.attempt,
                "runner_id": runner_id,
                "paths": claim.paths,
                "mode": claim.mode,
                "token": token,
                "since": _short(since),
                "runner_state": state,
                "lease_until": _short(rfc3339(until)) if until is not None else None,
            }

    def waiters(self) -> Iterator[dict[str, Any]]:
        """Rows of waiters; neighbours that the same claims block share one `blocked_by` object."""
        for claim, position in self._waiters:
            yield {
                "task_id": claim.task_id,
                "attempt": claim.attempt,
                "paths": claim.paths,
                "mode": claim.mode,
                "position": position,
                "blocked_by": self._crowd.in_the_way(claim.key, MOST_NAMED),
                "since": _short(claim.since),
                "gives_up_at": _short(rfc3339(end)) if (end := gives_up_at(claim)) is not None else None,
            }


def gives_up_at(claim: Claim) -> datetime | None:
    """When a waiting claim gives up; None if it waits without limit."""
    if claim.wait_seconds is None:
        return None
    return datetime.fromisoformat(claim.since) + timedelta(seconds=claim.wait_seconds)


def _short(time: str) -> str:
    """A stored time as answers write it: without zero microseconds."""
    return time.replace(".000000Z", "Z")


def entry_in_the_way(table: LockTable, workspace: WorkspaceId, task_id: TaskId, attempt: int) -> LockEntry:
    """The entry of one workspace, cut down to the first claims that block a waiting attempt."""
    holders, waiters = table.in_the_way(task_id, attempt)
    return LockEntry.model_construct(
        workspace=workspace,
        holders=[_holder(grant) for grant in holders],
        waiters=[_waiter(waiter) for waiter in waiters],
    )


def _holder(grant: Grant) -> HolderRead:
    claim = grant.claim
    return HolderRead.model_construct(  # the data was validated when it was recorded
        task_id=claim.task_id,
        attempt=claim.attempt,
        runner_id=grant.runner_id,
        paths=list(claim.paths),
        mode=claim.mode,
        token=grant.token,
        since=datetime.fromisoformat(grant.since),
    )


def _waiter(waiter: Waiter) -> WaiterRead:
    claim = waiter.claim
    return WaiterRead.model_construct(
        task_id=claim.task_id,
        attempt=claim.attempt,
        paths=list(claim.paths),
        mode=claim.mode,
        position=waiter.position,
        blocked_by=list(waiter.blocked_by),
        since=datetime.fromisoformat(claim.since),
        gives_up_at=gives_up_at(claim),
    )
