"""Ranges of outputs that grow, end, and were never there; files and their changes are real."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.protocol import Submission
from domain.runners.output_range import OutputRange, RangeRequest
from runner.output.growth import Growth
from runner.output.ranges import OutputMissing, OutputRanges
from runner.store.state import Attempt, Key, RunnerState
from tests.integration.runner.harness import DEADLINE, submission


class One:
    """An attempt that is held, and its output."""

    def __init__(self, state: RunnerState, ranges: OutputRanges) -> None:
        self.state, self.ranges = state, ranges
        self.submission = Submission.model_validate(submission(["true"]))
        state.accept(self.submission, "nats", None)
        self.key = Key(self.submission.task_id, 1)

    def write(self, data: bytes) -> None:
        with self.ranges.files.path(self.key).open("ab") as file:
            file.write(data)

    def end(self) -> None:
        attempt = self.state.find(self.key)
        assert isinstance(attempt, Attempt)
        self.state.end(attempt, "succeeded", None)
        self.ranges.over(self.key)

    async def read(self, **asked: Any) -> OutputRange:
        request = RangeRequest(task_id=self.key.task_id, attempt=1, **asked)
        await self.ranges.ready(request)
        found = await self.ranges.read(request)
        room = bytearray(b"?" * request.limit)
        other, data = await self.ranges.read_into(request, memoryview(room))
        assert (replace(found, data=b""), found.data) == (other, data)
        assert room[len(data) :] == b"?" * (request.limit - len(data))
        return found


@pytest.fixture
def one(tmp_path: Path) -> Iterator[One]:
    with closing(RunnerState(tmp_path / "state")) as state:
        yield One(state, OutputRanges(state))


async def test_ranges_of_any_length_make_the_whole(one: One) -> None:
    one.write(bytes(range(256)) * 5)
    one.end()
    for limit in (1, 7, 1000, 5000):
        found, offset = b"", 0
        while not (piece := await one.read(offset=offset, limit=limit)).complete or offset < piece.size:
            assert (piece.offset, piece.size) == (offset, 1280)
            found, offset = found + piece.data, offset + len(piece.data)
        assert found == bytes(range(256)) * 5


async def test_from_the_end(one: One) -> None:
    one.write(b"0123456789")
    assert await one.read(offset=-3) == OutputRange(b"789", 7, 10, complete=False)
    assert await one.read(offset=-30, limit=2) == OutputRange(b"01", 0, 10, complete=False)
    assert await one.read(offset=30) == OutputRange(b"", 30, 10, complete=False)


@pytest.mark.parametrize("asked_first", [True, False])
async def test_a_reader_waits_for_the_file_for_bytes_and_for_the_end(one: One, asked_first: bool) -> None:
    steps = (
        (0, lambda: one.write(b"a"), b"a", False),
        (1, lambda: one.write(b"bc"), b"bc", False),
        (3, one.end, b"", True),
    )
    async with asyncio.timeout(DEADLINE):
        for offset, act, data, complete in steps:
            reading = asyncio.ensure_future(one.read(offset=offset, wait=20))
            if asked_first:
                while not one.ranges._growth._waiting:
                    await asyncio.sleep(0)
            act()
            found = await reading
            assert (found.data, found.complete) == (data, complete)
    assert one.ranges._growth._handle is None


async def test_without_inotify_it_is_looked_at_now_and_then(
    one: One, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMoreInstances:
        def inotify_init1(self, _: int) -> int:
            return -1

    monkeypatch.setattr("runner.output.growth.LIBC", NoMoreInstances())
    one.ranges._growth = Growth(one.state.outputs, poll_seconds=0.01)
    async with asyncio.timeout(DEADLINE):
        reading = asyncio.ensure_future(one.read(wait=20))
        while not one.ranges._growth._waiting:
            await asyncio.sleep(0)
        one.write(b"late")
        assert (await reading).data == b"late"


async def test_a_wait_ends_without_anything(one: One) -> None:
    assert await one.read(wait=0.01) == OutputRange(b"", 0, 0, complete=False)


async def test_what_was_left_out_of_the_middle_is_told_at_the_end(one: One) -> None:
    one.write(b"x")
    one.ranges.files.path(one.key).with_name(f"{one.ranges.files.path(one.key).name}.cut").write_text("77")
    assert (await one.read()).cut == 0
    one.end()
    assert (await one.read()).cut == 77


async def test_no_output_and_none_to_come(one: One) -> None:
    one.end()
    with pytest.raises(OutputMissing):
        await one.read(wait=20)
    other = RangeRequest(task_id=one.key.task_id, attempt=2)
    with pytest.raises(OutputMissing):
        await one.ranges.ready(other)


async def test_files_of_earlier_versions_are_never_read(one: One) -> None:
    (one.state.outputs / f"{one.key.file_stem}.log").write_text("a secret")
    one.end()
    with pytest.raises(OutputMissing):
        await one.read()


async def test_many_files_change_and_each_reader_wakes_for_its_own(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    with growth.watching("a") as a, growth.watching("b") as b:
        (tmp_path / "a").write_text("x")
        await asyncio.wait_for(a.wait(), DEADLINE)
        assert not b.is_set()
        (tmp_path / "b").write_text("x")
        await asyncio.wait_for(b.wait(), DEADLINE)


@pytest.mark.parametrize("suffix", ["", ".cut"])
@pytest.mark.parametrize("kind", ["fifo", "link", "device", "directory", "long"])
async def test_what_a_job_put_in_place_of_a_file_holds_up_nothing(
    one: One, tmp_path: Path, suffix: str, kind: str
) -> None:
    if suffix:
        one.write(b"fine")
    path = one.ranges.files.path(one.key)
    path = path.with_name(path.name + suffix)
    (tmp_path / "secret").write_text("7")
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(tmp_path / "secret")
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()
        case "long":
            path.write_bytes(b"7" * 100_000)
    one.end()
    if suffix or kind == "long":
        found = await one.read(limit=4)
        assert (found.data, found.complete) == (b"fine" if suffix else b"7777", True)
        assert found.cut == (int("7" * 32) if suffix and kind == "long" else 0)
    else:
        with pytest.raises(OutputMissing):
            await one.read()
        with pytest.raises(FileNotFoundError):
            one.ranges.files.read(one.key, 0, 1)
