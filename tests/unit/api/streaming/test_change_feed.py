"""The stream of changes: what is named, when, and from where it goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.app import begin_closing
from api.config import ApiConfig
from api.streaming.change_feed import PAUSE_SECONDS, Change, ChangeFeed
from domain.log.position import Position
from tests.unit.api.api_harness import ApiHarness, api_harness, finished, problem
from tests.unit.api.sse_reader import SseReader, sse


async def message(reader: SseReader) -> dict[str, Any]:
    """The next message, with its position as `upto`."""
    while (fields := await reader.frame()) is not None:
        if "data" in fields:
            return {"upto": int(fields["id"]), **json.loads(fields["data"])}
    raise AssertionError("the stream has ended")


async def until(reader: SseReader, upto: int) -> dict[str, Any]:
    """All messages up to a position as one; each goes further than the one before."""
    tasks, workspaces, at = dict[str, Any](), set[str](), -1
    while at < upto:
        one = await message(reader)
        assert one["upto"] > at
        assert not one["reset"]
        at = one["upto"]
        tasks |= {task["id"]: (task["seq"], task["status"]) for task in one["tasks"]}
        workspaces |= set(one["workspaces"])
    return {"tasks": tasks, "workspaces": workspaces}


async def test_a_stream_says_where_it_stands_and_then_what_changes(harness: ApiHarness) -> None:
    await finished(harness)
    async with sse(harness.app, "/changes") as reader:
        end = len(harness.events())
        assert await message(reader) == {"upto": end, "tasks": [], "workspaces": [], "reset": False}
        task = await harness.dispatched(workspace="acme")
        await harness.until("granted", 2)
        found = await until(reader, end + 3)
        assert found == {"tasks": {task["id"]: (end + 3, "dispatched")}, "workspaces": {"acme"}}
        await harness.register("other", "/srv/other")
        assert (await message(reader))["workspaces"] == ["other"]


@pytest.mark.parametrize("header", [True, False])
async def test_a_stream_resumes_without_a_gap(harness: ApiHarness, header: bool) -> None:
    task_id = await finished(harness)
    end = len(harness.events())
    query, headers = ("", {"Last-Event-ID": "1"}) if header else ("?after_seq=1", {})
    async with sse(harness.app, f"/changes{query}", headers) as reader:
        assert (await message(reader))["upto"] == 1
        found = await until(reader, end)
        assert found["tasks"][task_id] == (end, "succeeded")
        assert len(found["tasks"]) == 3
        assert found["workspaces"] == {"acme"}
        await harness.create()
        assert (await message(reader))["upto"] == end + 1


async def test_nothing_is_named_before_the_read_model_shows_it(harness: ApiHarness) -> None:
    await finished(harness)
    end = harness.read_model.behind = len(harness.events())
    async with sse(harness.app, "/changes") as reader:
        await message(reader)
        task = await harness.create()
        await harness.until("created", 4)
        named = asyncio.ensure_future(message(reader))
        await asyncio.wait({named}, timeout=3 * PAUSE_SECONDS)
        assert not named.done()
        harness.read_model.behind = None
        async with asyncio.timeout(5):
            assert await named == {
                "upto": end + 1,
                "tasks": [{"id": task["id"], "seq": end + 1, "status": "created"}],
                "workspaces": [],
                "reset": False,
            }


async def test_too_large_a_gap_is_a_reset_and_it_goes_on_behind_it(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streaming.change_feed.MOST_BEHIND", 5)
    await finished(harness)
    end = len(harness.events())
    async with sse(harness.app, "/changes", {"Last-Event-ID": str(end - 6)}) as reader:
        await message(reader)
        assert await message(reader) == {"upto": end, "tasks": [], "workspaces": [], "reset": True}
        task = await harness.create()
        assert [one["id"] for one in (await message(reader))["tasks"]] == [task["id"]]


async def test_too_many_tasks_are_a_reset(harness: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.streaming.change_feed.MOST_NAMED", 2)
    await finished(harness)
    async with sse(harness.app, "/changes?after_seq=0") as reader:
        await message(reader)
        assert (await message(reader))["reset"]


async def test_too_many_workspaces_are_a_reset(harness: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.streaming.change_feed.MOST_NAMED", 2)
    for name in ("one", "two", "three"):
        await harness.register(name, f"/srv/{name}")
    async with sse(harness.app, "/changes?after_seq=0") as reader:
        await message(reader)
        assert (await message(reader))["reset"]


@pytest.mark.parametrize("position", ["99", "2.0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"])
async def test_a_position_of_another_log_is_a_reset(harness: ApiHarness, position: str) -> None:
    await finished(harness)
    end = len(harness.events())
    async with sse(harness.app, "/changes", {"Last-Event-ID": position}) as reader:
        assert await message(reader) == {"upto": end, "tasks": [], "workspaces": [], "reset": True}


async def test_several_streams_are_told_the_same_at_most_four_times_a_second(harness: ApiHarness) -> None:
    clock = asyncio.get_running_loop().time
    async with sse(harness.app, "/changes") as one, sse(harness.app, "/changes?after_seq=0") as other:
        for reader in (one, other):
            await message(reader)
        started, messages, named = clock(), 0, dict[str, Any]()
        ids = [(await harness.create())["id"] for _ in range(30)]
        while len(named) < 30:
            found = await message(one)
            messages += 1
            named |= {task["id"]: task["status"] for task in found["tasks"]}
        assert messages <= (clock() - started) / PAUSE_SECONDS + 1
        assert set(named) == set(ids)
        assert (await until(other, 30))["tasks"].keys() == set(ids)


async def test_an_idle_stream_is_kept_alive_and_ends_with_the_process(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness.app.state.changes, "_heartbeat_seconds", 0.05)
    await finished(harness)
    async with sse(harness.app, "/changes") as reader:
        await message(reader)
        frame = await reader.frame()
        assert frame == {"comment": "heartbeat", "id": str(len(harness.events()))}
        begin_closing(harness.app)
        while await reader.frame() is not None:
            pass
        assert reader.ended


async def test_a_stream_after_a_pause_without_readers_misses_nothing(harness: ApiHarness) -> None:
    async with sse(harness.app, "/changes") as reader:
        at = (await message(reader))["upto"]
    for _ in range(3):
        await harness.create()
    async with sse(harness.app, "/changes", {"Last-Event-ID": str(at)}) as reader:
        await message(reader)
        assert len((await until(reader, 3))["tasks"]) == 3


async def test_streams_are_bounded(harness: ApiHarness) -> None:
    async with api_harness(ApiConfig(max_streams=1)) as small:
        async with sse(small.app, "/changes") as reader:
            await message(reader)
            problem(await small.http.get("/changes"), 503, "too-many-streams")
        problem(await small.http.get("/changes?colour=red"), 422, "invalid-request")


async def test_streams_that_are_asked_for_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with api_harness(ApiConfig(max_streams=1)) as small:
        feed: ChangeFeed = small.app.state.changes
        first, all_asked = feed.first, asyncio.Barrier(2)

        async def together(after: Position | None) -> Change:
            await all_asked.wait()
            return await first(after)

        monkeypatch.setattr(feed, "first", together)
        async with sse(small.app, "/changes") as one, sse(small.app, "/changes") as other:
            async with asyncio.timeout(5):
                starts = [await reader.sent.get() for reader in (one, other)]
            assert sorted(start["status"] for start in starts) == [200, 503]
            assert small.app.state.streams.open == 1
