"""How reports over NATS are settled, each by itself: acknowledged, kept, or put back."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client

from api.config import ApiConfig
from api.reports.batch_timeout import SharedTimeout
from api.reports.nats_intake import BATCH, ReportIntake, _FetchAhead
from api.reports.settlement import MAX_DELIVERIES, Settlement, delay_seconds
from domain.errors import Busy, LogFull
from tests.unit.api.api_harness import ApiHarness, api_harness, new_id

RUNNING = {"status": "running", "runner_id": "r1"}


async def _unconnected() -> Client:
    raise AssertionError("this needs no NATS")


@dataclass
class Delivered:
    """A message as nats-py hands it over; remembers how it was answered."""

    subject: str
    data: bytes
    headers: dict[str, str] | None = None
    delivered: int = 1
    answers: list[Any] = field(default_factory=list)

    @property
    def metadata(self) -> Any:
        return SimpleNamespace(num_delivered=self.delivered)

    async def ack(self) -> None:
        self.answers.append("ack")

    async def nak(self, delay: float) -> None:
        self.answers.append(delay)


def message(task_id: str, body: Any = RUNNING, **fields: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivered(f"towpath.report.{task_id}", data, **fields)


async def test_an_applied_and_a_stale_report_are_acknowledged(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    for _ in range(2):
        one = message(task["id"])
        assert await Settlement(harness.parts, None).settle(one, SharedTimeout(10))
        assert one.answers == ["ack"]
    assert harness.events() == ["created", "dispatched", "running"]
    assert harness.dead.kept == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"status": "running", "attempt": 2}, "unknown-attempt"),
        ({"status": "running", "attempt": 0}, "invalid-report"),
        (b"\xff", "invalid-report"),
        (b"{", "invalid-report"),
        (b"", "invalid-report"),
    ],
)
async def test_what_can_never_be_applied_is_kept_and_acknowledged(
    harness: ApiHarness, body: Any, code: str
) -> None:
    task = await harness.dispatched()
    one = message(task["id"], body)
    assert await Settlement(harness.parts, None).settle(one, SharedTimeout(10))
    assert one.answers == ["ack"]
    [(kind, task_id, kept, reason, detail)] = harness.dead.kept
    assert (kind, task_id, kept, reason) == ("report", task["id"], one.data, code)
    assert detail


@pytest.mark.parametrize("task_id", ["nobody", "*", ""])
async def test_a_subject_without_a_task_id_is_kept(harness: ApiHarness, task_id: str) -> None:
    one = message(task_id)
    await Settlement(harness.parts, None).settle(one, SharedTimeout(10))
    assert (one.answers, [kept[3] for kept in harness.dead.kept]) == (["ack"], ["bad-task-id"])


async def test_unknown_tasks_and_bad_tokens_are_kept() -> None:
    async with api_harness(ApiConfig(callback_token="hush")) as harness:
        task = await harness.dispatched()
        settlement = Settlement(harness.parts, None)
        for one, code in [
            (message(task["id"]), "unauthorised"),
            (message(task["id"], headers={"X-Runner-Token": "x"}), "unauthorised"),
            (message(new_id(), headers={"X-Runner-Token": "hush"}), "no-such-task"),
        ]:
            assert await settlement.settle(one, SharedTimeout(10))
            assert (one.answers, harness.dead.kept[-1][3]) == (["ack"], code)
        good = message(task["id"], headers={"X-Runner-Token": "hush"})
        assert await settlement.settle(good, SharedTimeout(10))
        assert harness.events()[-1] == "running"
        assert "hush" not in repr(harness.dead.kept)


class Failing:
    """A service that cannot record now."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def take(self, *_: Any) -> None:
        raise self.error


@pytest.mark.parametrize("error", [Busy("busy", "later"), LogFull("log-full", "later"), TimeoutError()])
async def test_while_the_log_is_away_or_full_a_report_comes_again_however_long_it_takes(
    harness: ApiHarness, error: Exception
) -> None:
    settlement = Settlement(replace(harness.parts, reports=Failing(error)), None)
    for delivered in (1, 3, MAX_DELIVERIES, 50 * MAX_DELIVERIES):
        one = message(new_id(), delivered=delivered)
        assert not await settlement.settle(one, SharedTimeout(10))
        assert one.answers == [delay_seconds(delivered)]
    assert harness.dead.kept == []


async def test_a_report_that_breaks_something_is_given_up_at_the_end(harness: ApiHarness) -> None:
    settlement = Settlement(replace(harness.parts, reports=Failing(RuntimeError("?"))), None)
    one = message(new_id(), delivered=3)
    assert not await settlement.settle(one, SharedTimeout(10))
    assert one.answers == [delay_seconds(3)]
    assert harness.dead.kept == []
    last = message(new_id(), delivered=MAX_DELIVERIES)
    assert await settlement.settle(last, SharedTimeout(10))
    assert (last.answers, harness.dead.kept[0][3]) == (["ack"], "gave-up")


async def test_what_cannot_be_kept_is_not_acknowledged(harness: ApiHarness) -> None:
    class Full:
        async def keep(self, *_: Any) -> None:
            raise Busy("busy", "later")

    one = message("nobody", delivered=MAX_DELIVERIES + 5)
    assert not await Settlement(replace(harness.parts, dead_letters=Full()), None).settle(
        one, SharedTimeout(10)
    )
    assert one.answers == [delay_seconds(MAX_DELIVERIES + 5)]


def test_delays_grow_and_stay_bounded() -> None:
    delays = [delay_seconds(number) for number in range(1, 10_000)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.2, 30.0)


async def test_a_batch_is_settled_message_by_message_and_a_task_in_order(harness: ApiHarness) -> None:
    first, second = await harness.dispatched(), await harness.dispatched()
    statuses = ("queued", "running", "succeeded")
    batch = [message(task["id"], {"status": status}) for status in statuses for task in (first, second)]
    batch.insert(2, message(first["id"], b"nonsense"))
    await ReportIntake(harness.parts, _unconnected)._settle(batch)
    assert all(one.answers == ["ack"] for one in batch)
    for task in (first, second):
        mine = [one.event for one in harness.log.events if one.subject_id == task["id"]]
        assert mine == ["created", "dispatched", *statuses]
    assert [kept[3] for kept in harness.dead.kept] == ["invalid-report"]


async def test_what_follows_a_report_that_was_put_back_waits_behind_it(harness: ApiHarness) -> None:
    failing = replace(harness.parts, reports=Failing(Busy("busy", "later")))
    task_id = new_id()
    batch = [message(task_id, {"status": status}) for status in ("running", "succeeded")]
    await ReportIntake(failing, _unconnected)._settle(batch)
    assert [one.answers for one in batch] == [[0.2], [0.4]]


async def test_a_batch_is_what_is_there_and_no_timeout_drops_it() -> None:
    asked: list[int] = []

    async def fetch(batch: int, timeout: float | None, heartbeat: float | None) -> list[Any]:
        asked.append(batch)
        raise TimeoutError

    for batch in (BATCH, BATCH - 1):
        with pytest.raises(nats.errors.TimeoutError):
            await _FetchAhead(fetch, _nothing_to_revive)(batch=batch, timeout=5.0)
    assert asked == [BATCH]


async def test_the_next_batch_is_on_its_way_while_one_is_handled_and_comes_again_after_a_stop() -> None:
    batches = [[message(new_id())] for _ in range(2)]
    coming = iter(batches)
    asked = asyncio.Event()

    async def fetch(batch: int, timeout: float | None, heartbeat: float | None) -> list[Any]:
        found = next(coming)
        if found is batches[-1]:
            asked.set()
        return found

    ahead = _FetchAhead(fetch, _nothing_to_revive)
    assert await ahead(batch=BATCH) == batches[0]
    async with asyncio.timeout(5):
        await asked.wait()
    await asyncio.sleep(0)
    await ahead.stop()
    assert [one.answers for batch in batches for one in batch] == [[], [0.0]]


async def test_a_third_batch_waits_until_one_of_two_is_settled(harness: ApiHarness) -> None:
    gate = asyncio.Event()

    class Slow:
        async def report(self, *_: Any) -> Any:
            await gate.wait()
            raise Busy("busy", "later")

    intake = ReportIntake(replace(harness.parts, reports=Slow()), _unconnected)
    batches = [[message(new_id())] for _ in range(3)]
    await intake._take(batches[0])
    await intake._take(batches[1])
    third = asyncio.create_task(intake._take(batches[2]))
    await asyncio.sleep(0)
    assert not third.done()
    gate.set()
    async with asyncio.timeout(5):
        await third
        await asyncio.wait(intake._working)
    assert [one.answers for batch in batches for one in batch] == [[0.2]] * 3


async def _nothing_to_revive() -> None:
    """The consumer is there."""
