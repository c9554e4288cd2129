"""Ordered work: order within a key, keys at once, bounded, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.services.ordered_work import OrderedWork

Piece = tuple[str, int]
LIMIT = 4


class Works:
    """Does pieces step by step: each takes as many turns of the event loop as its number asks for."""

    def __init__(self, *, again: frozenset[Piece] = frozenset(), limit: int = LIMIT) -> None:
        self.work = OrderedWork(self._do, self._put_back, limit)
        self.began: list[Piece] = []
        self.ended: list[Piece] = []
        self.behind: list[Piece] = []
        self.at_once: Counter[str] = Counter()
        self.most_unfinished = 0
        self._again = again

    async def _do(self, piece: Piece) -> bool:
        key, number = piece
        self.began.append(piece)
        self.at_once[key] += 1
        assert self.at_once[key] == 1, "two of one key"
        for _ in range(number * 7 % 5):
            await asyncio.sleep(0)
        self.at_once[key] -= 1
        self.ended.append(piece)
        return piece not in self._again

    async def _put_back(self, piece: Piece) -> None:
        self.behind.append(piece)

    async def all(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            assert self.work.add(piece[0], piece)
            self.most_unfinished = max(self.most_unfinished, self.work.unfinished)
            await self.work.room()
        await self.work.ended(60)


def numbered(keys: list[str]) -> list[Piece]:
    return list(zip(keys, range(len(keys)), strict=True))


KEYS = st.lists(st.sampled_from("abcd"), max_size=40)


@given(KEYS)
def test_each_key_in_order_and_never_more_than_the_limit(keys: list[str]) -> None:
    works, pieces = Works(), numbered(keys)
    asyncio.run(works.all(pieces))
    assert sorted(works.ended) == sorted(pieces)
    for key in set(keys):
        assert [one for one in works.began if one[0] == key] == [one for one in pieces if one[0] == key]
    assert works.most_unfinished <= LIMIT
    assert works.work.unfinished == 0


@given(KEYS, st.data())
def test_what_follows_a_piece_that_comes_again_is_done_later_or_comes_again_too(
    keys: list[str], data: st.DataObject
) -> None:
    pieces = numbered(keys)
    again = frozenset(data.draw(st.sets(st.sampled_from(pieces)))) if pieces else frozenset()
    works = Works(again=again, limit=100)
    asyncio.run(works.all(pieces))
    assert sorted(works.began + works.behind) == sorted(pieces)
    for key in set(keys):
        mine = [one for one in pieces if one[0] == key]  # all queued before the first is begun
        failed = next((number for number, one in enumerate(mine) if one in again), len(mine) - 1)
        assert [one for one in works.began if one[0] == key] == mine[: failed + 1]
        assert [one for one in works.behind if one[0] == key] == mine[failed + 1 :]
    assert works.work.unfinished == 0


@given(KEYS, st.integers(0, 30))
def test_at_its_end_each_piece_was_begun_or_is_handed_back(keys: list[str], turns: int) -> None:
    works, pieces = Works(limit=100), numbered(keys)

    async def run() -> list[Piece]:
        for piece in pieces:
            works.work.add(piece[0], piece)
        for _ in range(turns):
            await asyncio.sleep(0)
        left = works.work.close()
        assert not works.work.add("late", ("late", 0))
        await works.work.ended(60)
        return left

    left = asyncio.run(run())
    assert sorted(works.ended + left) == sorted(pieces)
    assert works.work.unfinished == 0


async def test_a_key_that_hangs_holds_up_no_other() -> None:
    gate, done = asyncio.Event(), []

    async def do(key: str) -> bool:
        if key == "hangs":
            await gate.wait()
        done.append(key)
        return True

    async def never(_: str) -> None:
        raise AssertionError("nothing comes again")

    work = OrderedWork(do, never, 10)
    for key in ("hangs", "hangs", "a", "b"):
        work.add(key, key)
    async with asyncio.timeout(5):
        while len(done) < 2:
            await asyncio.sleep(0)
    assert (done, work.unfinished) == (["a", "b"], 2)
    gate.set()
    await work.ended(5)
    assert (done, work.unfinished) == (["a", "b", "hangs", "hangs"], 0)


async def test_without_room_the_caller_waits_and_after_a_close_it_waits_on() -> None:
    gate = asyncio.Event()

    async def do(_: int) -> bool:
        await gate.wait()
        return True

    async def never(_: int) -> None:
        raise AssertionError("nothing comes again")

    work = OrderedWork(do, never, 2)
    work.add("a", 1)
    await asyncio.wait_for(work.room(), 5)
    work.add("b", 2)
    waiting = asyncio.create_task(work.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert work.close() == []
    gate.set()
    await work.ended(5)
    assert not waiting.done()
    waiting.cancel()


async def test_what_does_not_end_is_canceled() -> None:
    ended: list[str] = []

    async def do(name: str) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)
        return True

    async def never(_: str) -> None:
        raise AssertionError("nothing comes again")

    work = OrderedWork(do, never, 2)
    work.add("a", "begun")
    work.add("a", "waits")
    await asyncio.sleep(0)
    assert work.close() == ["waits"]
    await work.ended(0)
    assert (ended, work.unfinished) == (["begun"], 0)


@pytest.mark.parametrize("limit", [1, 3])
async def test_memory_does_not_grow_with_the_keys_that_were(limit: int) -> None:
    works = Works(limit=limit)
    await works.all(numbered([str(number) for number in range(50)]))
    assert all(not value for name, value in vars(works.work).items() if isinstance(value, (dict, set)))
    assert list(pairwise(works.work.close())) == []
