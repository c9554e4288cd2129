"""How the locks of a workspace are shown: holders, and waiters in order with what blocks them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from domain.locks import LockTable
from domain.wire import LockMode


class HolderRead(BaseModel):
    """An attempt that holds its claim; `token` is its fencing token, `since` the time of its grant."""

    task_id: str
    attempt: int
    runner_id: str | None
    paths: list[str]
    mode: LockMode
    token: int
    since: datetime


class WaiterRead(BaseModel):
    """A claim that waits; `position` 1 is next, `blocked_by` names the tasks in its way."""

    task_id: str
    attempt: int
    paths: list[str]
    mode: LockMode
    position: int
    blocked_by: list[str]
    since: datetime


class LockEntry(BaseModel):
    """The locks of one workspace. `paths` [] means the whole workspace."""

    workspace: str
    holders: list[HolderRead]
    waiters: list[WaiterRead]


def lock_entry(table: LockTable, workspace: str) -> LockEntry:
    """The entry of one workspace; empty lists where nothing is open."""
    return LockEntry(
        workspace=workspace,
        holders=[
            HolderRead(
                task_id=grant.claim.task_id,
                attempt=grant.claim.attempt,
                runner_id=grant.runner_id,
                paths=list(grant.claim.paths),
                mode=grant.claim.mode,
                token=grant.token,
                since=datetime.fromisoformat(grant.since),
            )
            for grant in table.holders(workspace)
        ],
        waiters=[
            WaiterRead(
                task_id=waiter.claim.task_id,
                attempt=waiter.claim.attempt,
                paths=list(waiter.claim.paths),
                mode=waiter.claim.mode,
                position=waiter.position,
                blocked_by=list(waiter.blocked_by),
                since=datetime.fromisoformat(waiter.claim.since),
            )
            for waiter in table.waiters(workspace)
        ],
    )
