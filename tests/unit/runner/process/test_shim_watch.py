"""When a runner gives up a guard and a shim that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from runner.clock import boottime
from runner.process.shim_watch import DEAF_ROUNDS, GONE_ROUNDS, LATE_SECONDS, STOPS, ShimWatch
from runner.process.tree.process_tree import look_at
from tests.support.waiting import eventually


@pytest.fixture
def guard() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


def watch(pid: int | None = None, **changes: float) -> ShimWatch:
    seen = None if pid is None else look_at(pid)
    guard = (pid, seen.started) if pid is not None and seen is not None else None
    fields: dict[str, Any] = {"timeout": None, "lease": None, "grace": 0.0, "guard": guard}
    return ShimWatch(**{**fields, **changes})


def rounds(made: ShimWatch, count: int, guard_ended: bool = False) -> list[str | None]:
    return [made.verdict(guard_ended) for _ in range(count)]


def test_one_that_ticks_is_trusted() -> None:
    made = watch()
    for _ in range(3 * DEAF_ROUNDS):
        made.hear("tick")
        assert made.verdict(False) is None


def test_one_that_says_nothing_is_given_up() -> None:
    *before, last = rounds(watch(), DEAF_ROUNDS + 1)
    assert set(before) == {None}
    assert last == "the guard of its shim did not answer"


def test_one_that_is_gone_has_a_moment_for_last_words() -> None:
    *before, last = rounds(watch(), GONE_ROUNDS + 1, guard_ended=True)
    assert set(before) == {None}
    assert last == "the guard of its shim was killed"


@pytest.mark.parametrize("late", ["timeout", "lease", "stop"])
def test_what_does_not_end_in_time_is_given_up(late: str, monkeypatch: pytest.MonkeyPatch) -> None:
    began = boottime()
    made = watch(timeout=1.0) if late == "timeout" else watch()
    made.hear("started")
    if late == "lease":
        made.renewed(began + 1.0)
    if late == "stop":
        made.told_to_stop(1.0)
    assert made.verdict(False) is None
    monkeypatch.setattr("runner.process.shim_watch.boottime", lambda: began + 1.0 + LATE_SECONDS + 0.5)
    assert made.verdict(False) == "its shim did not end it in time"


def test_a_renewed_lease_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    began = boottime()
    made = watch(lease=began + 1.0)
    made.renewed(began + 60.0)
    monkeypatch.setattr("runner.process.shim_watch.boottime", lambda: began + 30.0)
    assert made.verdict(False) is None


def test_a_moved_timeout_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    began = boottime()
    made = watch(timeout=1.0)
    made.hear("started")
    made.timeout_moved(began + 60.0)
    monkeypatch.setattr("runner.process.shim_watch.boottime", lambda: began + 30.0)
    assert made.verdict(False) is None
    monkeypatch.setattr("runner.process.shim_watch.boottime", lambda: began + 61.0 + LATE_SECONDS)
    assert made.verdict(False) == "its shim did not end it in time"


async def test_a_stopped_one_is_let_go_on_some_times(guard: subprocess.Popen[bytes]) -> None:
    made = watch(guard.pid)

    def state() -> str:
        seen = look_at(guard.pid)
        assert seen is not None
        return seen.state

    for number in range(STOPS + 1):
        os.kill(guard.pid, signal.SIGSTOP)
        await eventually(lambda: state() == "T")
        verdict = made.verdict(False)
        assert (verdict is None) == (number < STOPS)
        await eventually(lambda: state() != "T")
    assert verdict == "the guard of its shim was stopped again and again"
