"""Old outputs are deleted, those that ended first; never one that is held."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain.protocol import Submission
from runner.output.files import OutputFiles
from runner.output.retention import DAY_SECONDS, Retention
from runner.process.shim.output import cut_file
from runner.store.state import Attempt, Key, RunnerState
from tests.integration.runner.harness import submission

NOW = 2_000_000_000.0


@pytest.fixture
def state(tmp_path: Path) -> Iterator[RunnerState]:
    with closing(RunnerState(tmp_path / "state")) as opened:
        yield opened


def kept(state: RunnerState, days_ago: float, size: int = 10_000, *, held: bool = False) -> Key:
    sent = Submission.model_validate(submission(["true"]))
    state.accept(sent, "nats", None)
    key = Key(sent.task_id, 1)
    if not held:
        attempt = state.find(key)
        assert isinstance(attempt, Attempt)
        state.end(attempt, "succeeded", None)
    path = OutputFiles(state.outputs).path(key)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW, NOW - days_ago * DAY_SECONDS))
    return key


def test_what_is_too_old_goes(state: RunnerState) -> None:
    old, young, running = kept(state, 8), kept(state, 6), kept(state, 9, held=True)
    beside = Path(cut_file(str(OutputFiles(state.outputs).path(old))))
    beside.write_text("5")
    assert Retention(state, 7, 1 << 40).sweep(NOW) == [old]
    files = OutputFiles(state.outputs)
    assert [files.size(key) for key in (old, young, running)] == [None, 10_000, 10_000]
    assert not beside.exists()


def test_of_too_much_those_that_ended_first_go(state: RunnerState) -> None:
    second, first, third = kept(state, 2), kept(state, 3), kept(state, 1)
    kept(state, 4, held=True)
    assert Retention(state, 7, 20_000).sweep(NOW) == [first, second]
    assert OutputFiles(state.outputs).size(third) == 10_000


def test_empty_outputs_count_as_a_block(state: RunnerState) -> None:
    keys = [kept(state, days, 0) for days in (3, 2, 1)]
    assert Retention(state, 7, 2 * 4096).sweep(NOW) == keys[:1]


def test_files_of_earlier_versions_go_too_and_others_stay(state: RunnerState) -> None:
    key = kept(state, 1)
    old = state.outputs / f"{key.task_id}.2.log"
    other = state.outputs / "notes.txt"
    for path in (old, other):
        path.write_text("x")
        os.utime(path, (NOW, NOW - 30 * DAY_SECONDS))
    Retention(state, 7, 1 << 40).sweep(NOW)
    assert (old.exists(), other.exists()) == (False, True)
