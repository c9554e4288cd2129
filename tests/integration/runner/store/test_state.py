"""What the state file remembers, and what it must not keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.context.trace import under_traceparent
from domain.protocol import Report, Submission
from runner.errors import RunnerConfigError, StateTrouble
from runner.store.state import Attempt, Key, RunnerState
from tests.integration.runner.harness import submission


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


def test_an_attempt_and_its_reports_keep_their_trace(tmp_path: Path) -> None:
    trace, sub = f"00-{'a' * 32}-{'b' * 16}-01", sent()
    with closing(RunnerState(tmp_path)) as state, under_traceparent(trace):
        state.accept(sub, "nats", Report(status="queued", attempt=1))
    with closing(RunnerState(tmp_path)) as state:
        row = state.pending(sub.task_id)
        assert row is not None
        assert (held(state, sub).traceparent, row.traceparent) == (trace, trace)


def test_a_file_of_an_earlier_version_is_taken_up(tmp_path: Path) -> None:
    sub = sent()
    with closing(RunnerState(tmp_path)) as state:
        state.accept(sub, "nats", Report(status="queued", attempt=1))
        for table in ("attempts", "outbox"):
            state.file.run(f"ALTER TABLE {table} DROP COLUMN traceparent")
        state.file.run("ALTER TABLE outbox DROP COLUMN message_id")
    with closing(RunnerState(tmp_path)) as state:
        row = state.pending(sub.task_id)
        assert row is not None
        assert (held(state, sub).traceparent, row.traceparent) == (None, None)
        assert len(row.message_id) == 32


def message_ids(state: RunnerState, subs: list[Submission]) -> list[str]:
    return [row.message_id for sub in subs if (row := state.pending(sub.task_id)) is not None]


def test_a_report_keeps_its_random_message_id(tmp_path: Path) -> None:
    subs = [sent(), sent()]
    with closing(RunnerState(tmp_path)) as state:
        for sub in subs:
            state.accept(sub, "nats", Report(status="queued", attempt=1, runner_id="r"))
        ids = message_ids(state, subs)
    assert len({*ids}) == 2
    assert all(len(bytes.fromhex(one)) == 16 for one in ids)
    with closing(RunnerState(tmp_path)) as state:
        assert message_ids(state, subs) == ids


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
    with pytest.raises(RunnerConfigError, match="another runner"):
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


def fill(state: RunnerState, attempt: Attempt, report: Report) -> None:
    for _ in range(100):
        state.advance(attempt, "running", report)


def test_a_disk_without_room_takes_nothing_in_part_and_everything_afterwards(opened: RunnerState) -> None:
    sub, late = sent(), sent(env={"LARGE": "x" * 100_000})
    opened.accept(sub, "http", None)
    running = held(opened, sub)
    opened.file.run("PRAGMA max_page_count = 1")  # no page more than there are
    large = Report(status="failed", attempt=1, output_tail="x" * 8000)
    with pytest.raises(StateTrouble, match="make room") as caught:
        fill(opened, running, large)
    assert not caught.value.damaged
    depth = opened.outbox_depth()
    with pytest.raises(StateTrouble):
        opened.accept(late, "http", large)
    assert (opened.outbox_depth(), opened.held()) == (depth, [running.key])
    with pytest.raises(StateTrouble):
        opened.file.probe()
    opened.file.run("PRAGMA max_page_count = 100000")
    opened.file.probe()
    assert opened.accept(late, "http", large)


def test_heartbeats_go_on_without_a_disk(opened: RunnerState) -> None:
    first = opened.next_counter()
    opened.file.run("PRAGMA query_only = ON")
    later = [opened.next_counter() for _ in range(3)]
    assert [first, *later] == sorted({first, *later})


def test_a_damaged_file_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    with closing(RunnerState(tmp_path)) as state:
        state.accept(sent(), "http", None)
    file = tmp_path / "runner.sqlite3"
    file.write_bytes(b"\xa5" * file.stat().st_size)
    for _ in range(2):  # and the directory is not left locked
        with pytest.raises(RunnerConfigError, match=r"damaged.*move it away"):
            RunnerState(tmp_path)


def test_damage_while_working_is_told_from_a_full_disk(opened: RunnerState) -> None:
    subs = [sent(env={"LARGE": "x" * 10_000}) for _ in range(20)]
    for sub in subs:
        opened.accept(sub, "http", None)
    opened.file.run("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.file.run("PRAGMA cache_size = 1")
    file = opened.directory / "runner.sqlite3"
    with file.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xa5" * (file.stat().st_size - 4096))
    with pytest.raises(StateTrouble, match="damaged") as caught:
        list(opened.unsettled())
    assert caught.value.damaged
    assert len(opened.held()) == len(subs)


def test_a_state_that_was_removed_is_noticed(opened: RunnerState) -> None:
    opened.file.check(0)
    (opened.directory / "runner.sqlite3").unlink()
    with pytest.raises(StateTrouble, match="removed or replaced"):
        opened.file.check(0)


def test_a_disk_with_less_than_the_reserve_is_no_disk(opened: RunnerState) -> None:
    with pytest.raises(StateTrouble, match="make room"):
        opened.file.check(2**62)


def test_an_interrupted_step_writes_nothing(opened: RunnerState) -> None:
    sub = sent()
    broken: Any = "no report"
    with pytest.raises(AttributeError):
        opened.accept(sub, "http", broken)
    assert opened.find(Key(sub.task_id, 1)) is None


def _synced(state: RunnerState) -> bool:
    full = 2
    return bool(state.file.rows("PRAGMA synchronous")[0][0] == full)


def test_only_what_can_be_repeated_is_not_synced(opened: RunnerState) -> None:
    sub = sent()
    opened.accept(sub, "nats", Report(status="queued", attempt=1))
    assert _synced(opened)
    with opened.file.repeatable():
        assert not _synced(opened)
        with pytest.raises(StateTrouble):
            opened.file.run("SELECT * FROM nothing")
    assert _synced(opened)

    row = opened.pending(sub.task_id)
    assert row is not None
    opened.answered(row)
    opened.settle(row.key)
    assert _synced(opened)
    assert opened.pending(sub.task_id) is None
    assert not opened.holds(row.key)
