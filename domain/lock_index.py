"""The conflicts among the open claims of one workspace, kept up to date by every change. Pure.

Each open claim has a place, a number that rises with the order of arrival, and a mask: an integer whose bit
n says that it conflicts with the claim at place n. What is in the way of a waiting claim is its mask, cut
down to holders and earlier waiters. A change pays for the paths of its own claim and for the claims that
conflict with it. Pairs take one bit each, so a queue of a thousand claims takes a hundred kilobytes.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from operator import itemgetter

from domain.claims import Claim, Key
from domain.path_index import PathIndex
from domain.paths import plain_path

SPARE_PLACES = 1024
"""Places are renumbered once twice as many as there are open claims, and so many more, were given out."""


class _Open:
    """An open claim. `listed`: it is among the candidates; `turn` orders holders."""

    __slots__ = ("claim", "conflicts", "listed", "paths", "place", "turn")

    def __init__(self, claim: Claim, place: int) -> None:
        self.claim = claim
        self.paths = tuple(plain_path(path) for path in claim.paths)
        if "" in self.paths:
            self.paths = ()
        self.place = place
        self.conflicts = 0
        self.turn = 0
        self.listed = False


class LockIndex:
    """Who is in whose way. Told of every claim that begins to wait, holds, or goes."""

    def __init__(self) -> None:
        self._waiting: dict[Key, _Open] = {}
        self._holding: dict[Key, _Open] = {}
        self._by_place: dict[int, _Open] = {}
        self._by_root: dict[str, PathIndex[_Open]] = {}
        self._shared = self._waits = self._holds = 0  # masks over places
        self._line: list[int] = []  # the places of waiters in order
        self._candidates: list[int] = []  # a heap of places of waiters to be decided, perhaps
        self._next_place = 0

    # ------------------------------------------------------------------ changes

    def wait(self, claim: Claim) -> None:
        """`claim` waits behind all that wait; one of the same attempt that waited gives it its place."""
        before = self._waiting.pop(claim.key, None)
        if before is not None:
            self._leave(before)
        one = self._enter(claim, before.place if before else None)
        self._waiting[claim.key] = one
        self._waits |= 1 << one.place
        if before is None:
            self._line.append(one.place)
        self._consider(one)
        if before is not None:
            self._consider_all(one.conflicts)

    def hold(self, claim: Claim, turn: int) -> None:
        """`claim` holds, whether it waited here or not; holders are ordered by `turn`."""
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
        """The claim that waits does so no more, and does not hold."""
        one = self._waiting.pop(key)
        self._stop_waiting(one)
        self._leave(one)

    def release(self, key: Key) -> None:
        """The claim that holds does so no more."""
        one = self._holding.pop(key)
        self._leave(one)

    def _enter(self, claim: Claim, place: int | None = None) -> _Open:
        if place is None:
            if self._next_place >= 2 * len(self._by_place) + SPARE_PLACES:
                self._renumber()
            place = self._next_place
            self._next_place += 1
        one = _Open(claim, place)
        bit = 1 << place
        for other in self._in_conflict(claim.root, one.paths, shared=claim.mode == "shared"):
            other.conflicts |= bit
            one.conflicts |= 1 << other.place
        self._by_place[place] = one
        if claim.mode == "shared":
            self._shared |= bit
        self._by_root.setdefault(claim.root, PathIndex()).add(one, one.paths)
        return one

    def _in_conflict(self, root: str, paths: Iterable[str], *, shared: bool) -> Iterator[_Open]:
        """Open claims that may not hold beside such a one; under different roots all are in conflict."""
        for other_root, index in self._by_root.items():
            for other in index.overlapping(paths if other_root == root else ()):
                if not (shared and other.claim.mode == "shared"):
                    yield other

    def _stop_waiting(self, one: _Open) -> None:
        self._waits &= ~(1 << one.place)
        del self._line[bisect_left(self._line, one.place)]

    def _leave(self, one: _Open) -> None:
        """Forget a claim that neither waits nor holds any more, and look at those it was in the way of."""
        del self._by_place[one.place]
        others = ~(1 << one.place)
        self._waits &= others
        self._holds &= others
        self._shared &= others
        index = self._by_root[one.claim.root]
        index.remove(one, one.paths)
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

    def _renumber(self) -> None:
        """Give the places out anew, in the same order, so that masks stay as short as there are claims."""
        old = sorted(self._by_place)
        new = {place: number for number, place in enumerate(old)}

        def moved(mask: int) -> int:
            """`mask` under the new numbers: its digits at the old places, put side by side."""
            if not mask:
                return 0
            if mask.bit_count() < len(old) // 8:
                return sum(1 << new[place] for place in _places(mask))
            digits = f"{mask:0{old[-1] + 1}b}"[::-1]
            return int("".join(itemgetter(*old, old[-1])(digits)[:-1])[::-1], 2)

        self._waits, self._holds, self._shared = (
            moved(mask) for mask in (self._waits, self._holds, self._shared)
        )
        everyone = list(self._by_place.values())
        for one in everyone:
            one.conflicts, one.place = moved(one.conflicts), new[one.place]
        self._by_place = {one.place: one for one in everyone}
        self._line = [new[place] for place in self._line]
        self._candidates = sorted(new[place] for place in set(self._candidates) if place in new)
        self._next_place = len(old)

    # ------------------------------------------------------------------ questions

    def next_candidate(self) -> tuple[Claim, bool] | None:
        """The first waiter that can be decided, and whether something is in its way: then it rejects that."""
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
        """Whether anything is in the way of a waiter."""
        return bool(self._in_the_way(self._waiting[key]))

    def position(self, key: Key) -> int:
        """The place of a waiter among all that wait; 1 is next."""
        return bisect_left(self._line, self._waiting[key].place) + 1

    def blockers(self, key: Key, most: int) -> tuple[list[Claim], int]:
        """The first `most` claims in the way of a waiter, holders first, in order; how many there are."""
        one = self._waiting[key]
        mask = self._in_the_way(one)
        holders = [self._by_place[place] for place in _places(mask & self._holds)]
        holders.sort(key=lambda other: other.turn)
        found = [other.claim for other in holders[:most]]
        for place in _places(mask & self._waits):
            if len(found) >= most:
                break
            found.append(self._by_place[place].claim)
        return found, mask.bit_count()

    def holder_beside(self, claim: Claim) -> Claim | None:
        """The first holder, in the order of the grants, that `claim` may not hold beside."""
        paths = tuple(plain_path(path) for path in claim.paths)
        found = self._in_conflict(claim.root, paths, shared=claim.mode == "shared")
        held = [one for one in found if self._holds >> one.place & 1]
        return min(held, key=lambda one: one.turn).claim if held else None

    def _in_the_way(self, one: _Open) -> int:
        earlier = self._waits & ((1 << one.place) - 1)
        return one.conflicts & (self._holds | earlier)


def _places(mask: int) -> Iterator[int]:
    """The bits of `mask` that are set, from the lowest on."""
    if mask:
        digits = bin(mask)[:1:-1]
        place = digits.find("1")
        while place >= 0:
            yield place
            place = digits.find("1", place + 1)
