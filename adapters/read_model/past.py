"""Queries about the past: the history of a workspace's locks, and the tasks that existed by then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, Select, select

from adapters.read_model.tables import grants, tasks
from domain.identifiers import FencingToken, LogSeq, TaskId, WorkspaceId
from domain.locks.history import ClaimRead
from domain.log.record import EventAt
from domain.ports.read_model import PastClaim

_STEPS = ("granted", "refused", "left", "released")


def claims_of(workspace: WorkspaceId, after: LogSeq, before: LogSeq, limit: int) -> Select[Any]:
    """The `limit` newest claims of a workspace that were made after `after` and before `before`."""
    made = grants.c.claimed_seq
    return (
        select(grants, tasks.c.title, tasks.c.lock_paths, tasks.c.lock_mode)
        .join(tasks, tasks.c.id == grants.c.task_id)
        .where(grants.c.workspace == workspace, made > after, made < before)
        .order_by(made.desc())
        .limit(limit)
    )


def created_upto(upto: LogSeq, behind: TaskId | None, limit: int, oldest_first: bool) -> Select[Any]:
    """At most `limit` of the tasks created at or before `upto`, in this order, after the task `behind`."""
    made = tasks.c.created_seq
    wanted = select(tasks).where(made <= upto)
    if behind is not None:
        named = tasks.alias()
        there = select(named.c.created_seq).where(named.c.id == behind).scalar_subquery()
        wanted = wanted.where(made > there if oldest_first else made < there)
    return wanted.order_by(made.asc() if oldest_first else made.desc()).limit(limit)


def as_claim(row: RowMapping) -> PastClaim:
    """The view of a row of `claims_of`."""
    read = ClaimRead(
        task_id=row["task_id"],
        title=row["title"],
        attempt=row["attempt"],
        paths=orjson.loads(row["lock_paths"]),
        mode=row["lock_mode"],
        runner_id=row["runner_id"],
        token=FencingToken(row["granted_seq"]) if row["granted_seq"] is not None else None,
        claimed=EventAt(seq=row["claimed_seq"], at=datetime.fromisoformat(row["claimed_at"])),
        **{name: _step(row, name) for name in _STEPS},
        cause=row["cause"],
    )
    return PastClaim(read, row["bound_seq"])


def _step(row: RowMapping, name: str) -> EventAt | None:
    seq = row[f"{name}_seq"]
    return EventAt(seq=seq, at=datetime.fromisoformat(row[f"{name}_at"])) if seq is not None else None
