"""Conflict index: which open claims of one workspace conflict, updated with every change. Pure.

Each open claim has a place, a number that rises in order of arrival, and a mask, an integer whose bit n is
set if it conflicts with the claim at place n. A waiting claim is blocked by the holders and earlier waiters
in its mask. The cost of a change depends only on the paths of its claim and the claims that conflict with it.
A pair of claims takes one bit, so a queue of a thousand claims takes a hundred kilobytes.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter

from domain.identifiers import TaskId
from domain.locks.claims import Claim, Key
from domain.workspaces.path_index import Cover, PathIndex
from domain.workspaces.paths import plain_path

EVERYTHING = Cover(())
SPARE_PLACES = 1024
"""Places are compacted once they number twice the open claims plus this many."""


class _Open:
    """An open claim. `listed`: it is in the candidate heap; `turn` orders holders; `drop`: see `_pack`."""

    __slots__ = ("claim", "conflicts", "drop", "listed", "place", "turn")

    def __init__(self, claim: Claim, place: int, drop: int) -> None:
        self.claim = claim
        self.place = place
        self.drop = drop
        self.conflicts = 0
        self.turn = 0
        self.listed = False


class LockIndex:
    """Which claims block which. Its owner calls it for every claim that waits, holds, or leaves."""

    def __init__(self) -> None:
        self._waiting: dict[Key, _Open] = {}
        self._holding: dict[Key, _Open] = {}
        self._by_place: dict[int, _Open] = {}
        self._by_root: dict[str, PathIndex[_Open]] = {}
        self._shared = self._waits = self._holds = 0  # masks over places
        self._line: list[int] = []  # the places of waiters in order
        self._candidates: list[int] = []  # a heap of places whose waiters may be decidable
        self._next_place = 0
        self._drop = 0  # by how much compaction will still lower new places

    # ------------------------------------------------------------------ changes

    def wait(self, claim: Claim) -> None:
        """Add `claim` behind all waiters; it takes the place of a waiting claim of the same attempt."""
        before = self._waiting.pop(claim.key, None)
        if before is not None:
            self._leave(before)
        one = self._enter(claim, before)
        self._waiting[claim.key] = one
        self._waits |= 1 << one.place
        if before is None:
            self._line.append(one.place)
        self._consider(one)
        if before is not None:
            self._consider_all(one.conflicts)

    def hold(self, claim: Claim, turn: int) -> None:
        """Make `claim` a holder, whether it waited here or not; `turn` orders holders."""
        before = self._holding.pop(claim.key, None)
        if before is not None:
            self._leave(before)
        one = self._waiting.pop(claim.key, None)
        if one is not None and one.claim is not claim:
            self._stop_waiting(one)
            self._leave(one)
            one = None
        if one is None:
            one = self._enter(claim)
        else:
            self._stop_waiting(one)
        self._holding[claim.key] = one
        self._holds |= 1 << one.place
        one.turn = turn

    def stop_waiting(self, key: Key) -> None:
        """Remove a waiting claim that does not become a holder."""
        one = self._waiting.pop(key)
        self._stop_waiting(one)
        self._leave(one)

    def release(self, key: Key) -> None:
        """Remove a holder."""
        one = self._holding.pop(key)
        self._leave(one)

    def _enter(self, claim: Claim, before: _Open | None = None) -> _Open:
        if before is not None:
            place, drop = before.place, before.drop
        else:
            self._pack()
            place, drop = self._next_place, self._drop
            self._next_place += 1
        one, cover = _Open(claim, place, drop), _cover(claim)
        bit = 1 << place
        for other in self._in_conflict(claim, cover):
            other.conflicts |= bit
            one.conflicts |= 1 << other.place
        self._by_place[place] = one
        if claim.mode == "shared":
            self._shared |= bit
        self._by_root.setdefault(claim.root, PathIndex()).add(one, cover)
        return one

    def _in_conflict(self, claim: Claim, cover: Cover) -> Iterator[_Open]:
        """The open claims that conflict with this one; see `Claim.conflicts`."""
        shared = claim.mode == "shared"
        for root, index in self._by_root.items():
            for other in index.overlapping(cover if root == claim.root else EVERYTHING):
                if not (shared and other.claim.mode == "shared"):
                    yield other

    def _stop_waiting(self, one: _Open) -> None:
        self._waits &= ~(1 << one.place)
        del self._line[bisect_left(self._line, one.place)]

    def _leave(self, one: _Open) -> None:
        """Forget a claim that neither waits nor holds any more, and reconsider the claims it blocked."""
        del self._by_place[one.place]
        others = ~(1 << one.place)
        self._waits &= others
        self._holds &= others
        self._shared &= others
        index = self._by_root[one.claim.root]
        index.remove(one, _cover(one.claim))
        if not index:
            del self._by_root[one.claim.root]
        for place in _places(one.conflicts):
            self._by_place[place].conflicts &= others
        self._consider_all(one.conflicts)

    def _consider_all(self, mask: int) -> None:
        for place in _places(mask & self._waits):
            self._consider(self._by_place[place])

    def _consider(self, one: _Open) -> None:
        if not one.listed and (one.claim.on_conflict == "reject" or not self._in_the_way(one)):
            one.listed = True
            heapq.heappush(self._candidates, one.place)

    def _pack(self) -> None:
        """Compact places step by step, so that the length of masks stays near the number of claims.

        A compaction in one go would rewrite every bit of every mask. Each place has a `drop`, the number of
        free places below it, by which it must move down. A step takes the lowest power of two in any drop and
        moves all places whose drop contains it, with a few operations on each mask. Drops rise with places,
        and between two places there are at least as many free ones as their drops differ by. Each step
        therefore keeps the order, and claims may come and go between two steps.
        """
        if not self._drop:
            if self._next_place < 2 * len(self._by_place) + SPARE_PLACES:
                return
            for number, place in enumerate(sorted(self._by_place)):
                self._by_place[place].drop = place - number
            self._drop = self._next_place - len(self._by_place)
        step = self._drop & -self._drop
        step = min([step, *(one.drop & -one.drop for one in self._by_place.values() if one.drop)])
        self._move_down(step)

    def _move_down(self, step: int) -> None:
        """Lower each place whose drop contains the power of two `step` by `step`, and its drop as well."""
        everyone = list(self._by_place.values())
        going = 0
        for one in everyone:
            if one.drop & step:
                going |= 1 << one.place
                one.drop -= step
        new = {place: place - step if going >> place & 1 else place for place in self._by_place}
        for one in everyone:
            gone = one.conflicts & going
            one.conflicts = one.conflicts ^ gone | gone >> step
            one.place = new[one.place]
        self._waits, self._holds, self._shared = (
            mask ^ (mask & going) | (mask & going) >> step
            for mask in (self._waits, self._holds, self._shared)
        )
        self._by_place = {one.place: one for one in everyone}
        self._line = [new[place] for place in self._line]
        self._candidates = sorted(new[place] for place in set(self._candidates) if place in new)
        if self._drop & step:
            self._drop -= step
            self._next_place -= step

    # ------------------------------------------------------------------ questions

    def next_candidate(self) -> tuple[Claim, bool] | None:
        """The first waiter that can be decided, and whether it is blocked; a blocked one is to be refused."""
        while self._candidates:
            one = self._by_place.get(self._candidates[0])
            if one is not None and self._waits >> one.place & 1:
                blocked = bool(self._in_the_way(one))
                if not blocked or one.claim.on_conflict == "reject":
                    return one.claim, blocked
            if one is not None:
                one.listed = False
            heapq.heappop(self._candidates)
        return None

    def blocked(self, key: Key) -> bool:
        """Whether any claim blocks a waiter."""
        return bool(self._in_the_way(self._waiting[key]))

    def position(self, key: Key) -> int:
        """The position of a waiter in the queue; 1 is next."""
        return bisect_left(self._line, self._waiting[key].place) + 1

    def blockers(self, key: Key, most: int) -> tuple[list[Claim], int]:
        """The first `most` claims that block a waiter, holders first, in order; and how many do in all."""
        mask = self._in_the_way(self._waiting[key])
        there = self._by_place.__getitem__
        found = sorted(map(there, _places(mask & self._holds)), key=attrgetter("turn"))[:most]
        found += map(there, islice(_places(mask & self._waits), most - len(found)))
        return [other.claim for other in found], mask.bit_count()

    def crowd(self) -> Crowd:
        """A frozen copy of who blocks whom, for `Crowd.in_the_way`."""
        everyone = {place: (one.turn, one.claim.task_id) for place, one in self._by_place.items()}
        masks = {key: self._in_the_way(one) for key, one in self._waiting.items()}
        return Crowd(everyone, masks, self._holds)

    def holder_beside(self, claim: Claim) -> Claim | None:
        """The first holder, in the order of the grants, that conflicts with `claim`."""
        found = self._in_conflict(claim, _cover(claim))
        held = [one for one in found if self._holds >> one.place & 1]
        return min(held, key=lambda one: one.turn).claim if held else None

    def _in_the_way(self, one: _Open) -> int:
        earlier = self._waits & ((1 << one.place) - 1)
        return one.conflicts & (self._holds | earlier)


class Crowd:
    """Which claims blocked which at one moment. Task ids are looked up later, one waiter at a time."""

    def __init__(self, everyone: dict[int, tuple[int, TaskId]], masks: dict[Key, int], holds: int) -> None:
        self._everyone = everyone
        self._masks = masks
        self._holds = holds
        self._answer: tuple[TaskId, ...] = ()
        self._looked_at = self._found = -1

    def in_the_way(self, key: Key, most: int) -> tuple[TaskId, ...]:
        """The tasks of the first `most` claims that block a waiter, holders first, in order.

        In a long queue most waiters are blocked by the same claims; they get the same tuple object.
        """
        mask = self._masks[key]
        if mask & self._looked_at == self._found:
            return self._answer
        places = sorted(_places(mask & self._holds), key=self._everyone.__getitem__)[:most]
        places += islice(_places(mask & ~self._holds), most - len(places))
        full = len(places) == most and not self._holds >> places[-1] & 1
        self._looked_at = self._holds | ((2 << places[-1]) - 1) if full else -1
        self._found = mask & self._looked_at
        self._answer = tuple(dict.fromkeys(self._everyone[place][1] for place in places))
        return self._answer


def _cover(claim: Claim) -> Cover:
    return Cover(map(plain_path, claim.paths)) if claim.paths else EVERYTHING


def _places(mask: int) -> Iterator[int]:
    """The numbers of the set bits of `mask`, ascending."""
    if mask:
        digits = bin(mask)[:1:-1]
        place = digits.find("1")
        while place >= 0:
            yield place
            place = digits.find("1", place + 1)
