"""How reports over NATS are settled, each by itself: settled, kept, or to come again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from api.config import ApiConfig
from api.dependencies import ApiParts
from api.reports.settlement import MAX_DELIVERIES, Settlement, delay_seconds
from domain.errors import Busy, LogFull
from domain.identifiers import TaskId
from domain.ports.queues import QueuedReport
from tests.unit.api.api_harness import ApiHarness, api_harness, new_id

RUNNING = {"status": "running", "runner_id": "r1"}


def message(task_id: str, body: Any = RUNNING, **fields: Any) -> QueuedReport:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return QueuedReport(TaskId(task_id), data, **{"headers": {}, "deliveries": 1, **fields})


async def settle(parts: ApiParts, one: QueuedReport) -> float | None:
    """Whether it is settled (None), or when it has to come again."""
    return await Settlement(parts, None).settle(one, asyncio.get_running_loop().time() + 10)


async def test_an_applied_and_a_stale_report_are_acknowledged(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    for _ in range(2):
        one = message(task["id"])
        assert await settle(harness.parts, one) is None
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
    assert await settle(harness.parts, one) is None
    [(kind, task_id, kept, reason, detail)] = harness.dead.kept
    assert (kind, task_id, kept, reason) == ("report", task["id"], one.data, code)
    assert detail


@pytest.mark.parametrize("task_id", ["nobody", "*", ""])
async def test_a_subject_without_a_task_id_is_kept(harness: ApiHarness, task_id: str) -> None:
    one = message(task_id)
    assert await settle(harness.parts, one) is None
    assert [kept[3] for kept in harness.dead.kept] == ["bad-task-id"]


async def test_unknown_tasks_and_bad_tokens_are_kept() -> None:
    async with api_harness(ApiConfig(callback_token="hush")) as harness:
        task = await harness.dispatched()
        for one, code in [
            (message(task["id"]), "unauthorised"),
            (message(task["id"], headers={"X-Runner-Token": "x"}), "unauthorised"),
            (message(new_id(), headers={"X-Runner-Token": "hush"}), "no-such-task"),
        ]:
            assert await settle(harness.parts, one) is None
            assert harness.dead.kept[-1][3] == code
        good = message(task["id"], headers={"X-Runner-Token": "hush"})
        assert await settle(harness.parts, good) is None
        assert harness.events()[-1] == "running"
        assert "hush" not in repr(harness.dead.kept)


class Failing:
    """A service that cannot record now."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def report(self, *_: Any) -> None:
        raise self.error


@pytest.mark.parametrize("error", [Busy("busy", "later"), LogFull("log-full", "later"), TimeoutError()])
async def test_while_the_log_is_away_or_full_a_report_comes_again_however_long_it_takes(
    harness: ApiHarness, error: Exception
) -> None:
    failing = replace(harness.parts, reports=Failing(error))
    for delivered in (1, 3, MAX_DELIVERIES, 50 * MAX_DELIVERIES):
        one = message(new_id(), deliveries=delivered)
        assert await settle(failing, one) == delay_seconds(delivered)
    assert harness.dead.kept == []


async def test_a_report_that_breaks_something_is_given_up_at_the_end(harness: ApiHarness) -> None:
    failing = replace(harness.parts, reports=Failing(RuntimeError("?")))
    assert await settle(failing, message(new_id(), deliveries=3)) == delay_seconds(3)
    assert harness.dead.kept == []
    assert await settle(failing, message(new_id(), deliveries=MAX_DELIVERIES)) is None
    assert harness.dead.kept[0][3] == "gave-up"


async def test_what_cannot_be_kept_is_not_acknowledged(harness: ApiHarness) -> None:
    class Full:
        async def keep(self, *_: Any) -> None:
            raise Busy("busy", "later")

    full = replace(harness.parts, dead_letters=Full())
    one = message("nobody", deliveries=MAX_DELIVERIES + 5)
    assert await settle(full, one) == delay_seconds(one.deliveries)


async def test_a_report_whose_time_is_over_comes_again(harness: ApiHarness) -> None:
    class Endless:
        async def report(self, *_: Any) -> None:
            await asyncio.Event().wait()

    settlement = Settlement(replace(harness.parts, reports=Endless()), None)
    now = asyncio.get_running_loop().time()
    assert await settlement.settle(message(new_id(), deliveries=2), now) == delay_seconds(2)
    assert harness.dead.kept == []


def test_delays_grow_and_stay_bounded() -> None:
    delays = [delay_seconds(number) for number in range(1, 10_000)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.2, 30.0)
