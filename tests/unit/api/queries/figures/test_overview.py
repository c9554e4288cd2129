"""The overview: its figures, that they are made once a second, and what it says while parts are away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.queries.as_of import AS_OF
from api.queries.figures.overview import EventRate, Overviews
from domain.errors import Busy
from domain.log.capacity import Bound
from domain.ports.queues import Backlog
from tests.unit.api.api_harness import ApiHarness, api_harness

SHARED = {"workspace": "acme", "execution_mode": "shared-workspace"}


async def overview(harness: ApiHarness) -> dict[str, Any]:
    """A fresh one."""
    harness.app.state.overviews = Overviews(harness.parts)
    answer = await harness.http.get("/overview")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_empty_installation_needs_nobody(harness: ApiHarness) -> None:
    found = await overview(harness)
    assert found["attention"] == found["running"] == found["contended"] == found["log_room"] == []
    assert found["locks"] == {"held": 0, "waiting": 0, "due": 0, "longest_wait_seconds": None}
    assert found["runners"] == {"alive": 0, "suspected": 0, "lost": 0}
    assert (found["events_per_minute"], found["events_this_minute"]) == ([0] * 60, 0)
    numbers = ("failed_last_hour", "awaiting_operator", "open_questions", "dead_letters")
    assert [found[name] for name in numbers] == [0, 0, 0, 0]
    assert found["lags"]["view"] == {"events": 0, "seconds": 0.0}
    assert found["lags"]["unused"] is None


async def test_the_figures_are_those_of_now(harness: ApiHarness) -> None:
    for name in ("acme", "zoo"):
        await harness.register(name, f"/srv/{name}")
    await harness.dispatched(**SHARED)
    waits = [await harness.dispatched(**SHARED) for _ in range(2)]
    for _ in range(2):
        await harness.dispatched(workspace="zoo")
    failed = await harness.dispatched()
    await harness.report(failed["id"], "running")
    await harness.report(failed["id"], "failed", exit_code=1)
    harness.clock.at += timedelta(seconds=100)
    found = await overview(harness)
    assert {name: number for name, number in found["tasks"].items() if number} == {
        "dispatched": 5,
        "failed": 1,
    }
    assert (found["failed_last_hour"], found["time"]) == (1, "2026-03-01T12:01:40Z")
    assert found["locks"] == {"held": 2, "waiting": 3, "due": 0, "longest_wait_seconds": 100.0}
    first = found["contended"][0]
    assert (first["workspace"], first["waiting"], first["task_id"]) == ("acme", 2, waits[0]["id"])
    assert [one["workspace"] for one in found["contended"]] == ["acme", "zoo"]
    assert found["events_per_minute"] == [0] * 58 + [len(harness.events()), 0]


async def test_what_runs_and_who_waits_for_whom_has_names(harness: ApiHarness) -> None:
    await harness.register("acme", "/srv/acme")
    paths = ["a", "b", "c", "d"]
    build = await harness.dispatched(title="build", lock_paths=paths, **SHARED)
    waits = [
        await harness.dispatched(title=f"later {number}", lock_paths=["a"], **SHARED) for number in (1, 2)
    ]
    others = [await harness.dispatched(title=f"free {number}") for number in range(5)]
    for one in (build, *others):
        await harness.report(one["id"], "running")
    found = await overview(harness)
    assert [one["title"] for one in found["running"]] == [f"free {number}" for number in (4, 3, 2, 1, 0)]
    assert found["running"][0]["holds"] is False
    for one in others:
        await harness.report(one["id"], "succeeded", exit_code=0)
    found = await overview(harness)
    assert found["running"] == [
        {
            "task_id": build["id"], "title": "build", "since": "2026-03-01T12:00:00Z", "runner_id": None,
            "workspace": "acme", "holds": True, "paths": ["a", "b", "c"], "more_paths": 1,
        }
    ]  # fmt: skip
    names = [{"task_id": build["id"], "title": "build"}]
    assert found["contended"] == [
        {
            "workspace": "acme", "held": 1, "waiting": 2, "longest_wait_seconds": 0.0,
            "task_id": waits[0]["id"], "title": "later 1", "paths": ["a"], "more_paths": 0,
            "behind": names, "in_the_way": 1,
        }
    ]  # fmt: skip


async def test_requests_within_a_second_share_one(harness: ApiHarness) -> None:
    first = await harness.http.get("/overview")
    await harness.create()
    second = await harness.http.get("/overview")
    assert first.json() == second.json()
    assert first.headers[AS_OF] == second.headers[AS_OF] == "0"
    assert (await overview(harness))["tasks"] == {"created": 1}


async def test_what_is_away_is_unknown_and_all_else_is_shown(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **named: Any) -> Any:
        raise Busy("read-model-away", "the database does not answer")

    queries = ("count_by_status", "open_questions", "failures_since", "unconfirmed_cancels")
    for name in ("position", "find", *queries):
        monkeypatch.setattr(harness.parts.read_model, name, away)
    monkeypatch.setattr(harness.parts.heartbeats, "recent", away)
    monkeypatch.setattr(harness.parts.log, "last_seq", away)
    found = await overview(harness)
    for name in ("tasks", "running", "failed_last_hour", "runners", "awaiting_operator", "open_questions"):
        assert found[name] is None, name
    assert found["lags"]["read-model"] is None
    assert found["dead_letters"] == 0
    assert [one["kind"] for one in found["attention"]] == ["unknown", "unknown"]


async def test_positions_of_minutes_that_are_over_are_looked_up_once(harness: ApiHarness) -> None:
    looked: list[datetime] = []
    seq_at = harness.parts.log.seq_at

    async def counted(at: datetime) -> int:
        looked.append(at)
        return await seq_at(at)

    harness.parts.log.seq_at = counted  # type: ignore[method-assign]
    rate = EventRate(harness.parts)
    harness.clock.at += timedelta(seconds=30)
    await harness.create()
    assert await rate.last() == ([0] * 60, 1)
    assert len(looked) == 61
    harness.clock.at += timedelta(minutes=2)
    assert await rate.last() == ([0] * 58 + [1, 0], 0)
    assert len(looked) == 63


async def test_the_room_of_the_log_and_lags(harness: ApiHarness) -> None:
    class Narrow:
        def bounds(self) -> Sequence[Bound]:
            return [Bound("the disk", 100 << 20, 64 << 20, "free some")]

    harness.parts.backlogs.found["dispatch"] = Backlog(1500, harness.clock.at - timedelta(seconds=4))
    async with api_harness(capacity=Narrow(), backlogs=harness.parts.backlogs) as narrow:
        found = await overview(narrow)
    room = {"name": "the disk", "left_bytes": 100 << 20, "reserve_bytes": 64 << 20}
    assert found["log_room"] == [room]
    assert found["lags"]["dispatch"] == {"events": 1500, "seconds": 4.0}
    assert [one["kind"] for one in found["attention"]] == ["log-room", "lag"]
    assert found["attention"][0]["sentence"] == (
        "the disk has room for 100 MiB, of which 64 are kept for ends: free some"
    )


async def test_those_who_wait_for_a_slow_one_share_it(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, ahead, made = asyncio.get_running_loop(), 0.0, 0
    overviews, clock = Overviews(harness.parts), loop.time
    make = overviews._make
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)

    async def slowly() -> Any:
        nonlocal ahead, made
        made += 1
        await asyncio.sleep(0)  # all the others ask
        ahead += 10.0
        return await make()

    monkeypatch.setattr(overviews, "_make", slowly)
    found = await asyncio.gather(*(overviews.now() for _ in range(20)))
    assert made == 1
    assert len({id(overview) for _, overview in found}) == 1
    await overviews.now()
    assert made == 2
