"""The start gate of `towpath lock`: a command needs a recorded start and a lease, in whichever order."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from infra.lock.control_plane import ControlPlane
from infra.lock.endings import Ending
from infra.lock.keeper.claim import Claim
from infra.lock.keeper.heartbeats import Heartbeats
from infra.lock.keeper.waiting_line import WaitingLine
from tests.support.waiting import eventually
from tests.unit.infra.cli.fake_api import FakeApi, serving

SECONDS = 30.0
BEAT = "POST /runner/heartbeat"


class Gate:
    """One claim at the start gate, with its heartbeats."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.control = ControlPlane(api.url, None)
        self.heart = Heartbeats(self.control)
        self.report = f"POST /runner/tasks/{self.control.task_id}/status"
        started = {"status": "running", "attempt": 1, "cancel_requested": False}
        api.answers[self.report] = (200, {**started, "runner_id": self.control.runner_id})
        self.answer_beats("run")
        self._interrupt, self._end = os.pipe()
        self._pool = ThreadPoolExecutor(1)

    def answer_beats(self, wanted: str) -> None:
        self.api.answers[BEAT] = (200, {"wanted": [{"wanted": wanted}], "lease_seconds": 15.0})

    def hold(self, request: str) -> threading.Event:
        return self.api.holds.setdefault(request, threading.Event())

    def pass_it(self) -> Future[None]:
        self.heart.start()
        self.heart.holds = True
        self.heart.hurry()
        claim = Claim(self.control, self.heart, WaitingLine(), self._interrupt, {})
        return self._pool.submit(claim.pass_start_gate)

    def close(self) -> None:
        for held in self.api.holds.values():
            held.set()
        os.write(self._end, b"x")
        self._pool.shutdown()
        self.heart.leave()
        assert self.heart.left(SECONDS)


@pytest.fixture
def gate() -> Iterator[Gate]:
    with serving() as api:
        found = Gate(api)
        yield found
        found.close()


@pytest.mark.parametrize("held", ["heartbeat", "report"])
async def test_both_are_under_way_at_once_and_neither_is_enough(gate: Gate, held: str) -> None:
    answers = gate.hold(BEAT if held == "heartbeat" else gate.report)
    passing = gate.pass_it()
    for request in (BEAT, gate.report):
        method, path = request.split()
        await eventually(lambda: gate.api.asked(method, path), SECONDS)  # noqa: B023 - called at once
    if held == "report":
        await eventually(lambda: gate.heart.valid, SECONDS)
    assert not passing.done()
    answers.set()
    passing.result(SECONDS)
    assert gate.heart.valid


def test_an_attempt_that_is_not_wanted_does_not_start_with_a_lease(gate: Gate) -> None:
    gate.answer_beats("stop")
    with pytest.raises(Ending, match="not started"):
        gate.pass_it().result(SECONDS)


def test_a_refused_heartbeat_ends_the_claim_though_its_start_is_recorded(gate: Gate) -> None:
    gate.api.answers[BEAT] = (409, {"type": "urn:towpath:problem:counter-went-back", "detail": "no"})
    with pytest.raises(Exception, match="no"):
        gate.pass_it().result(SECONDS)
    assert gate.heart.refusal is not None
