"""When a timeout that pauses comes, on a clock that only the waiting moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from domain.task.pauses import Pauses
from runner.attempts.pausing_timeout import BACKSTOP_SECONDS, POLL_SECONDS, UNREADABLE_SECONDS, end_in_time
from runner.control.pauses import PausesUnknown

TIMEOUT = 10.0
Log = Callable[[float], tuple[float, bool, float | None] | None]


@dataclass
class World:
    """A clock at 0, a log that `log` describes at each time (None: it cannot be read), and a process."""

    log: Log
    now: float = 0.0
    shim_kills_at: float = TIMEOUT
    stopped: list[tuple[str, float]] = field(default_factory=list)
    read_at: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < self.shim_kills_at, "the shim would have killed it"

    async def read(self) -> Pauses:
        self.read_at.append(self.now)
        found = self.log(self.now)
        if found is None:
            raise PausesUnknown("away")
        ended, is_open, most = found
        return Pauses(attempt=1, ended_seconds=ended, open=is_open, open_at_most_seconds=most)

    def move_timeout(self, deadline: float) -> None:
        self.shim_kills_at = deadline

    def stop(self, why: str, grace: float) -> None:
        self.stopped.append((why, grace))


async def stopped_at(log: Log, monkeypatch: pytest.MonkeyPatch) -> tuple[float, World]:
    world = World(log)
    with monkeypatch.context() as patched:
        patched.setattr("runner.attempts.pausing_timeout.boottime", lambda: world.now)
        patched.setattr(asyncio, "sleep", world.sleep)
        await end_in_time(world, TIMEOUT, 0.5, world)
    assert world.stopped == [("timeout", 0.5)]
    assert world.shim_kills_at >= world.now
    return world.now, world


def asked(at: float, answered: float | None, most: float | None = None) -> Log:
    """One question, asked at `at`, which expires `most` seconds later."""

    def log(now: float) -> tuple[float, bool, float | None]:
        if now < at:
            return 0.0, False, None
        if answered is None or now < answered:
            return 0.0, True, most
        return answered - at if most is None else min(answered - at, most), False, None

    return log


async def test_without_a_question_it_comes_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at, world = await stopped_at(lambda _: (0.0, False, None), monkeypatch)
    assert (at, world.read_at) == (TIMEOUT, [TIMEOUT])


@pytest.mark.parametrize(
    ("at", "answered"), [(1.0, 5.0), (1.0, 9.99), (9.99, 10.0), (2.5, 13.0), (9.99, 5000.25), (0.0, 100.0)]
)
async def test_it_moves_by_the_pause(at: float, answered: float, monkeypatch: pytest.MonkeyPatch) -> None:
    came, _ = await stopped_at(asked(at, answered), monkeypatch)
    due = TIMEOUT + answered - at
    assert due <= came + 1e-6
    assert came <= max(due, answered + POLL_SECONDS) + 1e-6


async def test_an_expired_question_pauses_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    for answered in (None, 300.0):
        came, _ = await stopped_at(asked(4.0, answered, most=30.0), monkeypatch)
        assert came == pytest.approx(TIMEOUT + 30.0)
    came, _ = await stopped_at(asked(4.0, 9.0, most=30.0), monkeypatch)
    assert came == pytest.approx(TIMEOUT + 5.0)


async def test_a_log_that_cannot_be_read_kills_late(monkeypatch: pytest.MonkeyPatch) -> None:
    came, _ = await stopped_at(lambda _: None, monkeypatch)
    assert TIMEOUT + UNREADABLE_SECONDS <= came <= TIMEOUT + UNREADABLE_SECONDS + POLL_SECONDS


async def test_an_outage_only_delays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    came, _ = await stopped_at(lambda now: None if now < 100 else (3.0, False, None), monkeypatch)
    assert 100 <= came <= 100 + POLL_SECONDS
    truth = asked(5.0, 400.0)
    came, _ = await stopped_at(lambda now: None if 200 < now < 300 else truth(now), monkeypatch)
    assert came == pytest.approx(TIMEOUT + 395.0)
    assert BACKSTOP_SECONDS > 2 * POLL_SECONDS
