"""Rungs: few, dense near the head; what a fold from one gives is what a fold from the start gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from domain.errors import Busy
from domain.locks.table import LockTable
from domain.log.record import Recorded
from projections import time_travel
from projections.time_travel import (
    FEW_PATHS,
    KEPT,
    LARGE_WIDTH,
    MANY_PATHS,
    PREFIX,
    RUNG_EVERY,
    SPARSE,
    WIDTH,
    Ladder,
    TimeTravel,
    slot,
)
from tests.support.memory_store import MemoryLog, MemoryLogReader, MemorySnapshots


@pytest.mark.parametrize(
    ("size", "apart", "width"),
    [
        (0, 1, WIDTH),
        (FEW_PATHS - 1, 1, WIDTH),
        (FEW_PATHS, SPARSE, LARGE_WIDTH),
        (MANY_PATHS, SPARSE**2, LARGE_WIDTH),
    ],
)
def test_rungs_are_few_and_near_ones_are_dense(size: int, apart: int, width: int) -> None:
    last: dict[str, int] = {}
    for index in range(1, 100_001):
        if (name := slot(index, size)) is not None:
            last[name] = index
    assert len(last) <= width * 17
    rungs = sorted(last.values())
    for back in (1, 10, 100, 1_000, 10_000, 60_000):
        below = max(rung for rung in rungs if rung <= 100_000 - back)
        assert 100_000 - back - below < max(apart, back / width * 2.7), f"{back} rungs back"


def test_the_rungs_of_a_large_table_do_not_replace_those_of_a_small_one() -> None:
    small, large = ({slot(index, size) for index in range(1, 5_000)} for size in (0, MANY_PATHS))
    assert small & large == set()


def recorded(seq: int, kind: str = "task", event: str = "created", **data: object) -> Recorded:
    subject = "w" if kind != "task" else f"t{seq if event == 'created' else data['of']}"
    attempt = 1 if "attempt" in data else None
    time = "2026-03-01T12:00:00.000000Z"
    return Recorded(seq, kind, subject, event, f"id{seq}", 1, attempt, time, "a", "c", dict(data))


CLAIM: dict[str, Any] = {
    "lock_paths": [], "lock_mode": "exclusive", "on_conflict": "wait", "root": "/w", "by": "a"
}  # fmt: skip


def a_log(lives: int) -> MemoryLog:
    """Claims that are granted and released one after the other, in a workspace registered at first."""
    log = MemoryLog()
    registered = recorded(1, "workspace", "registered", root="/w", on_runner_lost="fail", by="a")
    for life in range(lives):
        seq = life * 4
        task = f"t{seq + 1}"
        held = {"task_id": task, "attempt": 1, "seen_seq": seq}
        log.events += [
            recorded(seq + 1, workspace="w") if life else registered,
            recorded(seq + 2, event="dispatched", of=seq + 1, attempt=1, workspace="w", **CLAIM),
            recorded(seq + 3, "lock", "granted", root="/w", paths=[], mode="exclusive", **held),
            recorded(seq + 4, "lock", "released", cause="x", **held),
        ]
    return log


class Counting(MemoryLogReader):
    """Says how far back it was asked to follow from."""

    starts: list[int]

    def follow(self, after_seq: int) -> AsyncIterator[Sequence[Recorded]]:
        self.starts.append(after_seq)
        return self._chunks(after_seq)

    async def _chunks(self, after_seq: int) -> AsyncIterator[Sequence[Recorded]]:
        async for batch in super().follow(after_seq):
            for start in range(0, len(batch), 7):
                yield batch[start : start + 7]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_travel, "RUNG_EVERY", 20)
    monkeypatch.setattr(time_travel, "NEAR", 0)


async def climbed(log: MemoryLog, checkpoints: MemorySnapshots) -> None:
    table, ladder = LockTable(), Ladder(checkpoints)
    ladder.start(0)
    for event in log.events:
        table.fold(event)
        if event.seq % 7 == 0:
            await ladder.climb(table, event.id)


def table_at(log: MemoryLog, seq: int) -> LockTable:
    table = LockTable()
    for event in log.events[:seq]:
        table.fold(event)
    return table


@pytest.mark.usefixtures("small")
async def test_a_fold_from_a_rung_gives_what_a_fold_from_the_start_gives() -> None:
    log, checkpoints = a_log(100), MemorySnapshots()
    await climbed(log, checkpoints)
    reader = Counting(log)
    travel = TimeTravel(reader, checkpoints)
    for seq in (0, 1, 2, 3, 21, 197, 333, 399, 400):
        reader.starts = []
        table = await travel.locks(seq)
        assert table.snapshot() == table_at(log, seq).snapshot()
        assert all(seq - start <= max(27, (400 - seq) // 4 + 27) for start in reader.starts)


@pytest.mark.usefixtures("small")
async def test_a_question_far_back_leaves_rungs_for_the_next() -> None:
    log, checkpoints = a_log(100), MemorySnapshots()
    reader = Counting(log)
    reader.starts = []
    travel = TimeTravel(reader, checkpoints)
    await travel.locks(390)
    await travel.locks(391)
    assert reader.starts[0] == 0
    assert reader.starts[1] >= 360


@pytest.mark.usefixtures("small")
async def test_rungs_of_another_log_are_passed_over() -> None:
    log, checkpoints = a_log(20), MemorySnapshots()
    await climbed(log, checkpoints)
    other = a_log(20)
    for event in other.events[30:]:
        event.id = f"other{event.seq}"
    reader = Counting(other)
    reader.starts = []
    table = await TimeTravel(reader, checkpoints).locks(70)
    assert table.snapshot() == table_at(other, 70).snapshot()
    assert reader.starts == [21]


@pytest.mark.parametrize("near", [0, 3, 1000])
async def test_what_was_asked_is_kept_and_serves_its_neighbours(
    monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(time_travel, "NEAR", near)
    log = a_log(30)
    reader = Counting(log)
    reader.starts = []
    travel = TimeTravel(reader, MemorySnapshots())
    for seq in (50, 53, 40, 50, 120, 0, 51, 53):
        table = await travel.locks(seq)
        assert table.snapshot() == table_at(log, seq).snapshot()
        table.fold(recorded(seq + 1, event="dispatched", of=9, attempt=1, workspace="w", **CLAIM))
    read = list(reader.starts)
    for seq in (50, 53, 40):
        assert (await travel.locks(seq)).snapshot() == table_at(log, seq).snapshot()
    assert reader.starts == read


async def test_steps_back_from_a_far_question_begin_at_a_kept_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_travel, "NEAR", 20)
    log = a_log(30)
    reader = Counting(log)
    reader.starts = []
    travel = TimeTravel(reader, MemorySnapshots())
    for seq in range(100, 89, -1):
        assert (await travel.locks(seq)).snapshot() == table_at(log, seq).snapshot()
    assert reader.starts == [0]


async def test_all_who_ask_for_the_same_sequence_wait_for_one_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_travel, "NEAR", 0)
    monkeypatch.setattr(time_travel, "WAITING", 2)
    log = a_log(30)
    reader = Counting(log)
    reader.starts = []
    travel = TimeTravel(reader, MemorySnapshots())
    gone = asyncio.create_task(travel.locks(60))
    asked = [asyncio.create_task(travel.locks(seq)) for seq in (60, 100) * 10]
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(Busy, match="too many"):
        await travel.locks(61)
    tables = await asyncio.gather(*asked)
    assert [one.seq for one in tables] == [60, 100] * 10
    assert reader.starts == [0, 60]
    assert (await travel.locks(61)).seq == 61


async def test_few_states_are_kept_and_fewer_of_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    log = a_log(30)
    travel = TimeTravel(MemoryLogReader(log), MemorySnapshots())
    for seq in range(2, 60):
        await travel.locks(seq)
    assert list(travel._kept) == list(range(60 - KEPT, 60))
    monkeypatch.setattr(time_travel, "MOST_KEPT_PATHS", 1)
    await travel.locks(62)
    assert sum(one.size for one in travel._kept.values()) <= 1
    assert 62 in travel._kept


@pytest.mark.parametrize(("most", "apart"), [(10, 40), (0, 160)])
async def test_of_large_rungs_fewer_are_saved(monkeypatch: pytest.MonkeyPatch, most: int, apart: int) -> None:
    monkeypatch.setattr(time_travel, "RUNG_EVERY", 10)
    monkeypatch.setattr(time_travel, "FEW_PATHS", 0)
    monkeypatch.setattr(time_travel, "MANY_PATHS", most)
    snapshots, saved = MemorySnapshots(), set[int]()
    table, ladder = LockTable(), Ladder(snapshots)
    ladder.start(0)
    for event in a_log(80).events:
        table.fold(event)
        await ladder.climb(table, event.id)
        found = await snapshots.latest(PREFIX, event.seq)
        saved |= {found[0]} if found is not None else set()
    assert saved == set(range(apart, 321, apart))


async def test_not_everybody_asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_travel, "WAITING", 0)
    with pytest.raises(Busy, match="too many"):
        await TimeTravel(MemoryLogReader(a_log(1)), MemorySnapshots()).locks(1)


async def test_the_latest_rung_is_found_by_its_position() -> None:
    checkpoints = MemorySnapshots()
    await checkpoints.save(f"{PREFIX}0.1", RUNG_EVERY, {"a": 1})
    await checkpoints.save(f"{PREFIX}0.2", 3 * RUNG_EVERY, {"a": 2})
    await checkpoints.save("other", 2 * RUNG_EVERY, {})
    assert await checkpoints.latest(PREFIX, 3 * RUNG_EVERY - 1) == (RUNG_EVERY, {"a": 1})
