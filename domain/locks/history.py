"""The history of a workspace's claims: who wanted which paths, waited and held how long, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from domain.identifiers import FencingToken, LogSeq, RunnerId, TaskId
from domain.log.record import EventAt
from domain.protocol import LockMode

MOST_PATHS = 20
MOST_LONGEST = 5


class ClaimRead(BaseModel):
    """One attempt's claim. Steps that have not happened are null; `paths` [] means the whole workspace.

    It waits from `claimed` to `granted`, or until it is `refused` or its attempt ends before (`left`); it
    holds from `granted` to `released`.
    """

    task_id: TaskId
    title: str | None
    attempt: int
    paths: list[str]
    mode: LockMode
    runner_id: RunnerId | None
    token: FencingToken | None
    claimed: EventAt
    granted: EventAt | None
    refused: EventAt | None
    left: EventAt | None
    released: EventAt | None
    cause: str | None = Field(description="what ended it: an end of the attempt, `operator`, `held`, …")

    @property
    def waited_until(self) -> datetime | None:
        """When the wait was over; None while it waits."""
        over = self.granted or self.refused or self.left
        return over.at if over is not None else None

    def waited_seconds(self, now: datetime) -> float:
        """How long it waited, or has waited up to now."""
        return ((self.waited_until or now) - self.claimed.at).total_seconds()

    def held_seconds(self, now: datetime) -> float:
        """How long it held, or has held up to now."""
        if self.granted is None:
            return 0.0
        return ((self.released.at if self.released else now) - self.granted.at).total_seconds()

    def at(self, seq: LogSeq, bound: LogSeq | None) -> ClaimRead:
        """The claim after `seq`; its runner was known from `bound` on."""
        then = {
            name: mark if mark is not None and mark.seq <= seq else None
            for name in ("granted", "refused", "left", "released")
            for mark in (getattr(self, name),)
        }
        over = then["refused"] or then["left"] or then["released"]
        known = bound is not None and bound <= seq
        return self.model_copy(
            update={
                **then,
                "token": self.token if then["granted"] is not None else None,
                "cause": self.cause if over is not None else None,
                "runner_id": self.runner_id if known else None,
            }
        )


class Spent(BaseModel):
    """How long claims waited or held, in seconds; those that still do count up to now."""

    total_seconds: float
    median_seconds: float
    longest_seconds: float


class PathContention(BaseModel):
    """The claims that name a path (`.`: the whole workspace)."""

    path: str
    claims: int
    waited_seconds: float
    held_seconds: float


class Contention(BaseModel):
    """The claims of a workspace that were made after `since`.

    `capped`: there are more; only the newest `claims` are counted.
    """

    since: LogSeq
    claims: int
    capped: bool
    granted: int
    refused: int
    left: int = Field(description="their attempts ended while they waited")
    waiting: int
    holding: int
    waited: Spent
    held: Spent
    paths: list[PathContention] = Field(description=f"the {MOST_PATHS} that were waited for longest")
    longest: list[ClaimRead] = Field(description=f"the {MOST_LONGEST} longest waits")


def contention(since: LogSeq, claims: Sequence[ClaimRead], capped: bool, now: datetime) -> Contention:
    """Sum up `claims`."""
    granted = [one for one in claims if one.granted is not None]
    return Contention(
        since=since,
        claims=len(claims),
        capped=capped,
        granted=len(granted),
        refused=sum(one.refused is not None for one in claims),
        left=sum(one.left is not None for one in claims),
        waiting=sum(one.waited_until is None for one in claims),
        holding=sum(one.released is None for one in granted),
        waited=_spent(one.waited_seconds(now) for one in claims),
        held=_spent(one.held_seconds(now) for one in granted),
        paths=_by_path(claims, now)[:MOST_PATHS],
        longest=sorted(claims, key=lambda one: -one.waited_seconds(now))[:MOST_LONGEST],
    )


def _by_path(claims: Sequence[ClaimRead], now: datetime) -> list[PathContention]:
    """What claims have waited and held, for each path; that waited for longest first."""
    paths: dict[str, PathContention] = {}
    for one in claims:
        for path in one.paths or ["."]:
            of_path = paths.setdefault(
                path, PathContention(path=path, claims=0, waited_seconds=0, held_seconds=0)
            )
            of_path.claims += 1
            of_path.waited_seconds += one.waited_seconds(now)
            of_path.held_seconds += one.held_seconds(now)
    return sorted(paths.values(), key=lambda one: (-one.waited_seconds, -one.claims, one.path))


def _spent(seconds: Iterable[float]) -> Spent:
    taken = sorted(max(0.0, one) for one in seconds)
    return Spent(
        total_seconds=sum(taken),
        median_seconds=taken[len(taken) // 2] if taken else 0.0,
        longest_seconds=taken[-1] if taken else 0.0,
    )
