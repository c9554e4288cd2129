"""The task projection: order, batches, going on after a crash or a rebuild, and halting at a hole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from domain.log.position import Position
from domain.log.record import Recorded
from domain.ports.log import LogGap
from projections.read_model import AHEAD_EVENTS, BATCH_EVENTS, ReadModelProjection
from tests.support.waiting import eventually


def event(seq: int) -> Recorded:
    return Recorded(seq, "workspace", "acme", "registered", "x", seq, None, "2026-03-01", "op", "0", {})


class GrowingLog:
    """A log that tests append to; `follow` hands out `chunk` events at a time, then waits for more."""

    def __init__(self, chunk: int = 3) -> None:
        self.events: list[Recorded] = []
        self.chunk = chunk
        self.hole_at: int | None = None
        self.read = 0
        self.following = 0
        self.asked_for_the_end = asyncio.Event()
        self._grown = asyncio.Condition()

    async def grow(self, count: int) -> None:
        async with self._grown:
            self.events += [event(len(self.events) + n) for n in range(1, count + 1)]
            self._grown.notify_all()

    async def follow(self, after_seq: int) -> AsyncIterator[Sequence[Recorded]]:
        self.following += 1
        try:
            seq = after_seq
            while True:
                async with self._grown:
                    await self._grown.wait_for(lambda seq=seq: len(self.events) > seq)
                batch = self.events[seq : seq + self.chunk]
                if self.hole_at is not None and batch[-1].seq >= self.hole_at:
                    raise LogGap(f"event {self.hole_at} is missing")
                seq = self.read = batch[-1].seq
                yield batch
        finally:
            self.following -= 1

    async def at(self, seqs: Sequence[int]) -> list[Recorded]:
        return [self.events[seq - 1] for seq in seqs if seq <= len(self.events)]

    async def last_seq(self) -> int:
        self.asked_for_the_end.set()
        return len(self.events)


class Applied:
    """A read model that only remembers its batches; `fail` makes the next apply crash."""

    def __init__(self, position: int = 0) -> None:
        self.seq = position
        self.event_id: str | None = None
        self.batches: list[list[int]] = []
        self.fail: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def position(self) -> int:
        return self.seq

    async def stands_at(self) -> Position:
        return Position(self.seq, self.event_id)

    async def apply(self, events: Sequence[Recorded]) -> int:
        await self.open.wait()
        if self.fail is not None:
            error, self.fail = self.fail, None
            raise error
        left = [one.seq for one in events if one.seq > self.seq]
        if left and left[0] != self.seq + 1:
            raise LogGap(f"stands at {self.seq}, given {left[0]}")
        self.batches.append(left)
        self.seq += len(left)
        return self.seq

    async def reset(self) -> None:
        self.seq = 0


@pytest.fixture
def log() -> GrowingLog:
    return GrowingLog()


@pytest.fixture
def model() -> Applied:
    return Applied()


@pytest.fixture
async def running(log: Any, model: Any) -> AsyncIterator[ReadModelProjection]:
    projection = ReadModelProjection(log, model)
    task = asyncio.create_task(projection.run())
    yield projection
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert log.following == 0


async def test_it_applies_what_comes_for_ever(
    log: GrowingLog, model: Applied, running: ReadModelProjection
) -> None:
    for _ in range(3):
        await log.grow(4)
        assert await running.caught_up(len(log.events))
    assert [seq for batch in model.batches for seq in batch] == list(range(1, 13))
    assert (running.seq, await running.lag()) == (12, 0)
    assert not await running.caught_up(13, timeout=0.01)


async def test_small_batches_that_came_meanwhile_are_merged_up_to_the_limit(
    log: GrowingLog, model: Applied, running: ReadModelProjection
) -> None:
    model.open.clear()
    await log.grow(3 * BATCH_EVENTS)
    await eventually(lambda: log.read == 3 * BATCH_EVENTS)
    model.open.set()
    assert await running.caught_up(3 * BATCH_EVENTS)
    assert max(map(len, model.batches)) == BATCH_EVENTS
    assert len(model.batches) <= 5


async def test_events_that_come_singly_share_a_batch_but_for_the_first(log: Any, model: Any) -> None:
    projection = ReadModelProjection(log, model, pace_seconds=1.0)
    running = asyncio.create_task(projection.run())
    for count in range(1, 9):
        await log.grow(1)
        await eventually(lambda count=count: log.read == count)
        if count == 1:
            assert await projection.caught_up(1)
    assert await projection.caught_up(8, timeout=10)
    assert model.batches[0] == [1]
    assert len(model.batches) < 8
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_reading_ahead_is_bounded(
    log: GrowingLog, model: Applied, running: ReadModelProjection
) -> None:
    model.open.clear()
    await log.grow(3 * AHEAD_EVENTS)
    await eventually(lambda: log.read >= AHEAD_EVENTS)
    for _ in range(100):
        await asyncio.sleep(0)
    assert log.read <= AHEAD_EVENTS + BATCH_EVENTS + 2 * log.chunk
    model.open.set()
    assert await running.caught_up(3 * AHEAD_EVENTS, timeout=10)


async def test_it_goes_on_from_the_read_models_own_position(log: Any, model: Any) -> None:
    await log.grow(10)
    model.fail = RuntimeError("the database went away")
    with pytest.raises(RuntimeError):
        await ReadModelProjection(log, model).run()
    assert model.seq == 0
    for already in (0, 7):
        model.seq, model.batches = already, []
        projection = ReadModelProjection(log, model)
        task = asyncio.create_task(projection.run())
        assert await projection.caught_up(10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [seq for batch in model.batches for seq in batch] == list(range(already + 1, 11))


async def test_a_hole_in_the_log_ends_it_behind_what_came_before(log: Any, model: Any) -> None:
    await log.grow(10)
    log.hole_at = 8
    with pytest.raises(LogGap, match="event 8 is missing"):
        await ReadModelProjection(log, model).run()
    assert (model.seq, log.following) == (6, 0)


async def test_a_read_model_that_was_not_reset_and_gaps_ends_it(log: Any, model: Any) -> None:
    await log.grow(10)
    model.fail = LogGap("not the next one")
    with pytest.raises(LogGap):
        await ReadModelProjection(log, model).run()


async def test_a_read_model_of_another_log_is_refused(log: Any) -> None:
    await log.grow(3)
    with pytest.raises(LogGap, match="another log"):
        await ReadModelProjection(log, Applied(position=4), new_leader_seconds=0.0).run()


async def test_a_leader_that_does_not_know_the_last_events_yet_is_waited_for(log: GrowingLog) -> None:
    await log.grow(3)
    model = Applied(position=4)
    running = asyncio.create_task(ReadModelProjection(log, model, retry_seconds=0.01).run())
    await log.asked_for_the_end.wait()
    await log.grow(3)
    await eventually(lambda: model.seq == 6)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_it_goes_back_when_another_process_rebuilds(
    log: GrowingLog, model: Applied, running: ReadModelProjection
) -> None:
    await log.grow(6)
    assert await running.caught_up(6)
    await model.reset()
    await log.grow(1)
    await eventually(lambda: model.seq == 7)
    assert await running.caught_up(7)


@pytest.mark.parametrize("upto", [0, 1, 5, 10])
async def test_a_replay_starts_anew_and_ends_exactly_at_its_mark(log: Any, upto: int) -> None:
    await log.grow(10)
    model: Any = Applied(position=4)
    seen: list[tuple[int, int]] = []
    projection = ReadModelProjection(log, model)
    await projection.replay(upto, lambda done, of: seen.append((done, of)))
    assert (model.seq, projection.seq, log.following) == (upto, upto, 0)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    if upto:
        assert seen[-1] == (upto, upto)


async def test_a_read_model_of_another_log_is_noticed_however_long_that_log_is(log: GrowingLog) -> None:
    """As after a restore of an older backup that has grown since: the position lies within the log."""
    await log.grow(9)
    model = Applied(5)
    model.event_id = log.events[4].id
    projection = ReadModelProjection(log, model)
    task = asyncio.create_task(projection.run())
    assert await projection.caught_up(9)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    model = Applied(5)
    model.event_id = "another"
    with pytest.raises(LogGap, match=r"made from another log.*replay --rebuild"):
        await ReadModelProjection(log, model).run()
    assert model.batches == []
