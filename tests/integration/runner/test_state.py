"""What the state file remembers, and what it must not keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.wire import Report, Submission
from runner.errors import ConfigError
from runner.state import Attempt, Key, RunnerState
from tests.integration.runner.stage import submission


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[RunnerState]:
    with closing(RunnerState(tmp_path / "state")) as state:
        yield state


def sent(**changes: object) -> Submission:
    return Submission.model_validate(submission(["true"], **changes))


def held(state: RunnerState, sub: Submission) -> Attempt:
    found = state.find(Key(sub.task_id, sub.attempt))
    assert found is not None
    return found


def test_a_repeated_attempt_is_taken_once_also_after_its_end(opened: RunnerState) -> None:
    sub = sent()
    queued = Report(status="queued", attempt=1)
    assert opened.accept(sub, "nats", queued)
    assert not opened.accept(sub, "nats", queued)
    opened.end(held(opened, sub), "succeeded", None)
    assert not opened.accept(sub, "nats", queued)
    row = opened.pending(sub.task_id)
    assert row is not None
    opened.answered(row)
    assert opened.pending(sub.task_id) is None


def test_secrets_leave_the_files_with_the_end(opened: RunnerState) -> None:
    sub = sent(env={"KEY": "very-hidden"}, status_callback_token="also-hidden")
    opened.accept(sub, "http", None)
    opened.end(held(opened, sub), "failed", None)
    files = b"".join(file.read_bytes() for file in opened.directory.iterdir() if file.is_file())
    assert b"hidden" not in files
    assert held(opened, sub).submission.command == ["true"]


def test_the_runner_id_lives_as_long_as_the_directory(tmp_path: Path) -> None:
    def runner_id(directory: str) -> str:
        with closing(RunnerState(tmp_path / directory)) as state:
            return state.runner_id(None)

    assert runner_id("a") == runner_id("a")
    assert runner_id("a") != runner_id("b")


def test_the_counter_rises_across_restarts(tmp_path: Path) -> None:
    seen = []
    for _ in range(3):
        with closing(RunnerState(tmp_path / "state")) as state:
            seen += [state.next_counter() for _ in range(3)]
    assert seen == sorted(set(seen))


def test_two_runners_do_not_share_a_directory(opened: RunnerState) -> None:
    with pytest.raises(ConfigError, match="another runner"):
        RunnerState(opened.directory)


def test_files_are_private(opened: RunnerState) -> None:
    assert (opened.directory / "runner.sqlite3").stat().st_mode & 0o777 == 0o600


def test_only_settled_attempts_are_forgotten_and_the_oldest_first(opened: RunnerState) -> None:
    subs = [sent() for _ in range(4)]
    for sub in subs:
        opened.accept(sub, "http", None)
    for sub in subs[1:]:
        opened.end(held(opened, sub), "succeeded", None)
    assert opened.prune(keep=1) == [Key(sub.task_id, 1) for sub in subs[1:3]]
    assert opened.held() == [Key(subs[0].task_id, 1)]


def test_an_interrupted_step_writes_nothing(opened: RunnerState) -> None:
    sub = sent()
    broken: Any = "no report"
    with pytest.raises(AttributeError):
        opened.accept(sub, "http", broken)
    assert opened.find(Key(sub.task_id, 1)) is None
