"""The open claims of one workspace: waiting, holding, void or already ended. Pure.

The methods keep the conflict index and the owed releases up to date. Most workspaces have one claim at a
time, with nothing to block it, so the index is built for the second claim and dropped with the last. A
restored table builds its indexes on first use or on `prepare`, so that a short fold can do without them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from domain.identifiers import LOG_START, LogSeq
from domain.locks.claims import FIRST_CHAIN, Claim, EndedClaim, Grant, Key, Owed, VoidClaim, Waiter
from domain.locks.conflict_index import LockIndex

MOST_NAMED = 100
"""How many of the claims that block another are named: it keeps events and answers small."""


@dataclass(frozen=True, slots=True)
class OpenSize:
    """A workspace's open claims: how many hold and wait, and their paths, counted and in characters."""

    held: int = 0
    waiting: int = 0
    paths: int = 0
    path_chars: int = 0

    @property
    def claims(self) -> int:
        """The number of open claims."""
        return self.held + self.waiting


class WorkspaceLocks:
    """One workspace's claims. `void`: those of void `dispatched` events, which can only be refused.

    `ended` keeps claims whose attempts ended before a decision, until no lock fact about them can follow.
    Only a decider that had not folded the end can still grant or refuse such a claim. Once the log holds a
    lock fact whose decider had folded the end (`seen_seq`), the compare-and-set rejects those deciders. The
    number of facts before that one is not bounded, since a decider folds its own facts ahead of the log.
    """

    def __init__(self, *, indexed: bool = True) -> None:
        self.waiting: dict[Key, Claim] = {}
        self.holders: dict[Key, Grant] = {}
        self.void: dict[Key, VoidClaim] = {}
        self.ended: dict[Key, EndedClaim] = {}
        self.last_seq = LOG_START
        self.last_version = 0
        self.last_chain = FIRST_CHAIN
        self._turn = 0
        self._owing: list[tuple[int, Key]] = []
        self._index: LockIndex | None = None
        self._indexed = indexed
        self._paths = self._path_chars = 0

    @property
    def index(self) -> LockIndex:
        """The conflicts among waiters and holders."""
        if self._index is None:
            self._index = LockIndex()
            for grant in self.holders.values():
                self._index.hold(grant.claim, grant.turn)
            for claim in self.waiting.values():
                self._index.wait(claim)
        return self._index

    def prepare(self) -> None:
        """Build the index now, if more than one claim is open, and keep it up to date from now on."""
        self._indexed = True
        if len(self.waiting) + len(self.holders) > 1:
            self._index = self.index

    # ------------------------------------------------------------------ changes

    def wait(self, claim: Claim) -> None:
        """Add `claim` behind all waiters."""
        key = claim.key
        index = self._index_of_others()
        self._count(self.waiting.get(key), -1)
        self._count(claim)
        self.waiting[key] = claim
        if index is not None:
            index.wait(claim)

    def stop_waiting(self, key: Key) -> Claim | None:
        """Remove and return a waiting claim; None if it does not wait."""
        claim = self.waiting.pop(key, None)
        if claim is not None:
            self._count(claim, -1)
            if self._index is not None:
                self._index.stop_waiting(key)
                self._drop_index()
        return claim

    def hold(self, grant: Grant) -> None:
        """Make a claim a holder; it no longer waits."""
        key = grant.claim.key
        waited = self.waiting.pop(key, None)
        if waited is not grant.claim:
            self._count(waited, -1)
            self._count(grant.claim)
        index = self._index_of_others()
        before = self.holders.get(key)
        if before is not None:
            self._count(before.claim, -1)
            grant.turn = before.turn
        else:
            self._turn += 1
            grant.turn = self._turn
        self.holders[key] = grant
        if index is not None:
            index.hold(grant.claim, grant.turn)
        if grant.owed is not None:
            heapq.heappush(self._owing, (grant.turn, key))

    def owe(self, key: Key, owed: Owed) -> None:
        """Note that a holder's release is owed; the first cause stays."""
        grant = self.holders[key]
        if grant.owed is None:
            grant.owed = owed
            heapq.heappush(self._owing, (grant.turn, key))

    def release(self, key: Key) -> Grant | None:
        """Remove and return a holder; None if it does not hold."""
        grant = self.holders.pop(key, None)
        if grant is not None:
            self._count(grant.claim, -1)
            self.first_owed()  # drops this one from the heap, even if no decision is made
            if self._index is not None:
                self._index.release(key)
                self._drop_index()
        return grant

    def _index_of_others(self) -> LockIndex | None:
        """The index to which the next claim must be added; None while a single claim needs none."""
        return self.index if self._indexed and (self.waiting or self.holders) else self._index

    def _drop_index(self) -> None:
        if not (self.waiting or self.holders):
            self._index = None

    def _count(self, claim: Claim | None, sign: int = 1) -> None:
        if claim is not None and claim.paths:
            self._paths += sign * len(claim.paths)
            self._path_chars += sign * sum(map(len, claim.paths))

    # ------------------------------------------------------------------ questions

    @property
    def size(self) -> OpenSize:
        """The number and size of the open claims."""
        return OpenSize(len(self.holders), len(self.waiting), self._paths, self._path_chars)

    def holds(self, claim: Claim) -> bool:
        """Whether this claim object holds."""
        grant = self.holders.get(claim.key)
        return grant is not None and grant.claim is claim

    def first_owed(self) -> Grant | None:
        """The first holder, in the order of the grants, whose release is owed."""
        while self._owing:
            turn, key = self._owing[0]
            grant = self.holders.get(key)
            if grant is not None and grant.owed is not None and grant.turn == turn:
                return grant
            heapq.heappop(self._owing)
        return None

    def owed_at(self, seq: LogSeq) -> Grant | None:
        """A holder whose release was already owed at position `seq` of the log."""
        for _, key in self._owing:
            grant = self.holders.get(key)
            if grant is not None and grant.owed is not None and grant.owed.seq <= seq:
                return grant
        return None

    def next_candidate(self) -> tuple[Claim, bool] | None:
        """The first waiter that can be decided, and whether it is blocked; a blocked one is to be refused."""
        if self._alone:
            return next(iter(self.waiting.values())), False
        return self.index.next_candidate() if self.waiting else None

    def blocked(self, key: Key) -> bool:
        """Whether any claim blocks a waiter."""
        return not self._alone and self.index.blocked(key)

    def holder_beside(self, claim: Claim) -> Grant | None:
        """The first holder, in the order of the grants, that conflicts with `claim`."""
        beside = self.index.holder_beside(claim) if self.holders else None
        return self.holders[beside.key] if beside else None

    @property
    def _alone(self) -> bool:
        """Whether a single waiter is the only open claim."""
        return len(self.waiting) == 1 and not self.holders

    def waiter(self, key: Key) -> Waiter:
        """A waiting claim with what blocks it."""
        claims, total = self.index.blockers(key, MOST_NAMED)
        names = dict.fromkeys(claim.task_id for claim in claims)
        return Waiter(self.waiting[key], self.index.position(key), tuple(names), total)

    def waiters(self) -> Iterator[Waiter]:
        """All waiting claims in queue order."""
        return map(self.waiter, self.waiting)
