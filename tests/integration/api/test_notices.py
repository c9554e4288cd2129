"""Notices over HTTP, on the notifier's real state: who may see what, pages, and safe replays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.notices.database import create_notice_tables
from adapters.notices.history import SqlNoticeHistory
from adapters.notices.store import SqlNoticeState
from adapters.read_model.database import open_database
from api.queries.notices import SILENT_AFTER
from domain.ports.notices import Step
from tests.contract.adapters.notices.test_history import NOW, OTHER, TASK, given_up, placed
from tests.unit.api.api_harness import ApiHarness, api_harness, problem


@asynccontextmanager
async def told(path: Path) -> AsyncIterator[tuple[ApiHarness, SqlNoticeState]]:
    """An API beside the state of a notifier that works, with the channels `ops` and `log`."""
    engine = open_database(f"sqlite:///{path / 'notices.db'}", survives_power_cut=True)
    try:
        await create_notice_tables(engine)
        state = SqlNoticeState(engine, "one")
        assert await state.take(await state.standing())
        await state.configure({"ops": "webhook", "log": "webhook"})
        async with api_harness(notices=SqlNoticeHistory(engine)) as harness:
            yield harness, state
    finally:
        await engine.dispose()


async def asked(harness: ApiHarness, **query: Any) -> dict[str, Any]:
    answer = await harness.http.get("/notices", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_channels_with_their_figures_and_whether_a_notifier_works(tmp_path: Path) -> None:
    async with told(tmp_path) as (harness, state):
        await state.record(Step(notices=[placed("a"), placed("b", channel="log")]))
        await given_up(state)

        async def look() -> dict[str, Any]:
            found: dict[str, Any] = (await harness.http.get("/notices/channels")).json()
            return found

        (needed,) = (await harness.http.get("/overview")).json()["attention"]
        assert (needed["sentence"], needed["number"]) == ("1 notice could not be sent to ops", 1)
        assert (await harness.http.get(needed["link"])).json()["items"][0]["id"] == "a"
        found = await look()
        assert (found["configured"], found["notifier"]) == (True, "unknown")
        assert found["channels"][1] == {
            "name": "ops", "kind": "webhook", "sent": 0, "failed": 1, "waiting": 0, "dead": 1,
            "lag_seconds": 0.0,
        }  # fmt: skip
        await state.beat()
        assert (await look())["notifier"] == "works"
        harness.clock.at += 1.5 * SILENT_AFTER
        later = await look()
        assert (later["notifier"], later["channels"][0]["lag_seconds"]) == ("silent", 15.0)
        await state.leave()
        assert (await look())["notifier"] == "none"


async def test_what_was_told_about_a_task_in_pages(tmp_path: Path) -> None:
    async with told(tmp_path) as (harness, state):
        await state.record(Step(notices=[placed(f"e{n}") for n in range(3)] + [placed("x", OTHER)]))
        first = await asked(harness, task=TASK, limit=2)
        rest = await asked(harness, task=TASK, limit=2, cursor=first["next_cursor"])
        assert [one["id"] for one in (*first["items"], *rest["items"])] == ["e2", "e1", "e0"]
        assert rest["next_cursor"] is None
        await given_up(state)
        (dead,) = (await asked(harness, state="dead", channel="ops"))["items"]
        assert {name: dead[name] for name in ("id", "text", "task_id", "tries", "error", "settled_at")} == {
            "id": "e0", "text": "failed: e0", "task_id": TASK, "tries": 1, "error": "it answers 410",
            "settled_at": NOW.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip
        for query in ({"state": "bundled"}, {"task": "x"}, {"cursor": "eA"}, {"title": "x"}):
            assert (await harness.http.get("/notices", params=query)).status_code == 422, query


async def test_a_replay_sends_what_was_seen_once(tmp_path: Path) -> None:
    async with told(tmp_path) as (harness, state):
        await state.record(Step(notices=[placed("a"), placed("b")]))
        await given_up(state)
        (dead,) = (await asked(harness, state="dead"))["items"]
        item = {name: dead[name] for name in ("channel", "id", "settled_at")}
        for outcome, number in (("replayed", 1), ("changed", 0)):
            answer = await harness.http.post("/notices/replay", json={"items": [item]})
            assert answer.json() == {
                "replayed": number,
                "items": [{"channel": "ops", "id": "a", "outcome": outcome}],
            }
        await given_up(state)
        body = {"channel": "ops", "upto": NOW.isoformat()}
        assert (await harness.http.post("/notices/replay", json=body)).json()["replayed"] == 1
        answer = await harness.http.post("/notices/replay", json={**body, "channel": "opps"})
        problem(answer, 404, "no-such-channel")
        for wrong in ({}, {"channel": "ops"}, {"items": []}, {**body, "items": [item]}):
            assert (await harness.http.post("/notices/replay", json=wrong)).status_code == 422, wrong


async def test_without_a_notifier_there_is_a_clear_answer() -> None:
    async with api_harness() as harness:
        answer = await harness.http.get("/notices/channels")
        assert answer.json() == {"configured": False, "notifier": "none", "channels": []}
        assert (await asked(harness, task=TASK)) == {"items": [], "next_cursor": None}
        body = {"channel": "ops", "upto": NOW.isoformat()}
        answer = await harness.http.post("/notices/replay", json=body)
        assert "TOWPATH_NOTIFY" in problem(answer, 404, "no-such-channel")["detail"]
