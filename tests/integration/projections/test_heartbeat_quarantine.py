"""Heartbeats over NATS that nobody can use: each is told of once, and a flood of them harms nobody."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.errors import APIError

from adapters.nats.jetstream_api import LogUnreachable
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.runners.heartbeat_feed import CoreBeatFeed
from adapters.runners.heartbeats import JetStreamHeartbeats
from domain.protocol import Heartbeat
from domain.runners.heartbeat_validation import ArrivedBeat
from domain.services.dead_letters import DeadLetter
from projections.heartbeat_quarantine import LETTER_BYTES, HeartbeatQuarantine
from tests.integration.projections.harness import ProjectionHarness
from tests.support.waiting import eventually

FLOOD = 2_000


@pytest.fixture
def letters(js_connection: Client) -> JetStreamDeadLetters:
    return JetStreamDeadLetters(js_connection)


class Inspectors:
    """Two of them at once; `heard` is what each has finished with."""

    def __init__(self, harness: ProjectionHarness, letters: JetStreamDeadLetters) -> None:
        self._harness, self._letters = harness, letters
        self.heard: list[Counter[bytes]] = []

    async def start(self, **limits: Any) -> None:
        for _ in range(2):
            quarantine, heard = HeartbeatQuarantine(self._letters, **limits), Counter[bytes]()
            self.heard.append(heard)
            self._harness.run(CoreBeatFeed(self._harness.connection).listen(_noting(quarantine, heard)))
        await asyncio.sleep(0)
        await self._harness.connection.flush()

    async def letters(self, last: bytes) -> list[DeadLetter]:
        """What is kept once both have heard `last`."""
        await eventually(lambda: all(heard[last] for heard in self.heard), 30)
        return await self._letters.page(0, 1000, "heartbeat")


def _noting(
    quarantine: HeartbeatQuarantine, heard: Counter[bytes]
) -> Callable[[ArrivedBeat], Awaitable[None]]:
    async def handle(arrived: ArrivedBeat) -> None:
        await quarantine.handle(arrived)
        heard[arrived.body] += 1

    return handle


@pytest.fixture
async def inspectors(
    js_connection: Client, letters: JetStreamDeadLetters, request: pytest.FixtureRequest
) -> AsyncIterator[Inspectors]:
    """A test may give their limits as the fixture's parameter."""
    async with ProjectionHarness(js_connection) as harness:
        made = Inspectors(harness, letters)
        await made.start(**getattr(request, "param", {}))
        yield made


def beat(runner_id: str, counter: int = 1, **changes: Any) -> bytes:
    said = {"runner_id": runner_id, "pools": ["default"], "host": "h", "capacity": 1, "counter": counter}
    return json.dumps(said | changes).encode()


async def say(connection: Client, runner_id: str, body: bytes) -> None:
    await connection.jetstream().publish(f"towpath.runner.{runner_id}", body)


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b"{", "invalid-heartbeat", "Invalid JSON"),
        (b"\xff\x00", "invalid-heartbeat", "body"),
        (beat("bad", counter=-1), "invalid-heartbeat", "counter"),
        (beat("bad", held=[{"task_id": "no id", "attempt": 0}] * 9), "invalid-heartbeat", "and 15 more"),
        (beat("good"), "wrong-runner", "towpath.runner.good"),
    ],
)
async def test_what_is_no_heartbeat_is_kept_with_its_reason(
    js_connection: Client, inspectors: Inspectors, body: bytes, reason: str, says: str
) -> None:
    await say(js_connection, "bad", body)
    await say(js_connection, "good", last := beat("good"))
    (letter,) = await inspectors.letters(last)
    assert (letter.subject_id, letter.reason, letter.body) == ("bad", reason, body)
    assert letter.source == "towpath.runner.bad"
    assert says in letter.detail
    alive = await JetStreamHeartbeats(js_connection).all()
    assert [one.runner_id for one, _ in alive] == ["good"], "the rest goes on"


async def test_two_runners_under_one_id_are_told_of(js_connection: Client, inspectors: Inspectors) -> None:
    for counter in (1_000, 5, 1_001, 6):
        await say(js_connection, "twin", last := beat("twin", counter, host=f"host-{counter}"))
    (letter,) = await inspectors.letters(last)
    assert (letter.subject_id, letter.reason) == ("twin", "counter-went-back")
    assert "host-1000" in letter.detail


async def test_rising_counters_and_repetitions_are_fine(
    js_connection: Client, inspectors: Inspectors
) -> None:
    for counter in (1, 2, 2, 9):
        await say(js_connection, "fine", last := beat("fine", counter))
    assert await inspectors.letters(last) == []


async def test_what_an_api_sends_was_judged_by_it(js_connection: Client, inspectors: Inspectors) -> None:
    """The stream refuses what crossed with a newer one; who listens hears it all the same."""
    heartbeats = JetStreamHeartbeats(js_connection)
    await heartbeats.publish(Heartbeat.model_validate_json(beat("r", 7)))
    refused = {"Nats-Expected-Last-Subject-Sequence": "0"}
    with pytest.raises(APIError):
        await js_connection.jetstream().publish("towpath.runner.r", beat("r", 6), headers=refused)
    await say(js_connection, "r", last := beat("r", 8))
    assert await inspectors.letters(last) == []


@pytest.mark.parametrize("inspectors", [{"quiet_seconds": 0.0}], indirect=True)
async def test_a_runner_gone_mad_is_told_of_once_and_again_when_that_was_dropped(
    js_connection: Client,
    inspectors: Inspectors,
    letters: JetStreamDeadLetters,
) -> None:
    await letters.keep("report", "A", b"{}", "conflicting-end", "it must not be pushed out")
    for number in range(FLOOD):
        await js_connection.publish("towpath.runner.mad", b"%d" % number + b"x" * 10_000)
    await js_connection.flush()
    last = beat("good")

    async def heard_in_the_end() -> bool:
        await say(js_connection, "good", last)
        return all(heard[last] for heard in inspectors.heard)

    await eventually(heard_in_the_end, 30)
    (letter,) = await inspectors.letters(last)
    assert (letter.reason, len(letter.body)) == ("invalid-heartbeat", LETTER_BYTES)
    assert f"first {LETTER_BYTES} of its 1000" in letter.detail
    assert await letters.count() == 2

    await letters.remove(letter.seq)
    await say(js_connection, "mad", b"still")
    (again,) = await inspectors.letters(b"still")
    assert again.body == b"still"


@pytest.mark.parametrize("inspectors", [{"most_letters": 10}], indirect=True)
async def test_under_ever_new_names_there_is_an_end(js_connection: Client, inspectors: Inspectors) -> None:
    for number in range(50):
        await say(js_connection, f"r{number}", b"%d" % number)
    assert len(await inspectors.letters(b"49")) == 10


async def test_dead_letters_that_cannot_be_kept_stop_nothing(
    monkeypatch: pytest.MonkeyPatch, js_connection: Client, inspectors: Inspectors
) -> None:
    """The next bad one is told of."""
    trouble: list[str] = []

    async def no_answer(*_: object) -> None:
        trouble.append("once")
        raise LogUnreachable("no answer")

    with monkeypatch.context() as broken:
        broken.setattr("adapters.queues.dead_letters.publish", no_answer)
        await say(js_connection, "bad", b"first")
        await eventually(lambda: len(trouble) == 2)
    await say(js_connection, "bad", b"second")
    (letter,) = await inspectors.letters(b"second")
    assert letter.body == b"second"
