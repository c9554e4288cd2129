"""The live stream: replay, resumption, filters, and what it does while the log is away."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from api.app import begin_closing
from api.queries.event_pages import EventPages, EventSelection
from api.queries.paging import decode_cursor, encode_cursor
from api.streaming.event_stream import CHUNK_BYTES, EventStream
from domain.errors import Busy
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from tests.unit.api.api_harness import ApiHarness, finished, new_id, problem
from tests.unit.api.sse_reader import sse

TRAIL = ["created", "dispatched", "granted", "running", "succeeded", "released"]


async def test_the_stream_replays_and_then_goes_on_live(harness: ApiHarness) -> None:
    await finished(harness)
    async with sse(harness.app, "/events/stream?after_seq=0") as reader:
        assert await reader.events(len(harness.log.events)) == harness.events()
        await harness.create()
        assert (await reader.event())["seq"] == len(harness.log.events)


async def test_the_stream_resumes_behind_the_last_event_id(harness: ApiHarness) -> None:
    await finished(harness)
    async with sse(harness.app, "/events/stream?after_seq=0", {"Last-Event-ID": "7"}) as reader:
        assert (await reader.event())["seq"] == 8


async def test_the_stream_without_a_position_begins_now(harness: ApiHarness) -> None:
    await finished(harness)
    async with sse(harness.app, "/events/stream") as reader:
        await reader.frame()
        await harness.create()
        assert (await reader.event())["seq"] == len(harness.log.events)


@pytest.mark.parametrize("page", [1, 200])
async def test_the_stream_filters_like_the_pages(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("api.streaming.event_stream.PAGE", page)
    task_id = await finished(harness)
    for query, wanted in {
        f"task_id={task_id}": TRAIL,
        f"task_id={task_id}&event=granted": ["granted"],
        "workspace=acme": ["registered", *TRAIL],
        "event=created": ["created"] * 3,
    }.items():
        async with sse(harness.app, f"/events/stream?after_seq=0&{query}") as reader:
            assert await reader.events(len(wanted)) == wanted


async def test_a_filtered_stream_shows_what_comes_later_and_nothing_else(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.create(workspace="acme")
    async with sse(harness.app, f"/events/stream?after_seq=0&task_id={task['id']}") as reader:
        assert await reader.events(1) == ["created"]
        await harness.create()
        await harness.http.post(f"/tasks/{task['id']}/dispatch")
        assert await reader.events(2) == ["dispatched", "granted"]


async def test_closing_ends_the_stream(harness: ApiHarness) -> None:
    await harness.create()
    async with sse(harness.app, "/events/stream?after_seq=0") as reader:
        await reader.event()
        begin_closing(harness.app)
        assert await reader.frame() is None
        assert reader.ended
    problem(await harness.http.get("/readyz"), 503, "not-ready")


async def test_a_quiet_stream_shows_life_and_its_position(harness: ApiHarness) -> None:
    await harness.create()
    stream = EventStream(
        harness.parts, EventPages(harness.parts), harness.app.state.closing, heartbeat_seconds=0.01
    )
    chunks = stream.chunks(EventSelection(events=("failed",)), 0)
    assert await anext(chunks) == b"retry: 1000\nid: 0\n\n"
    assert await anext(chunks) == b": heartbeat\nid: 1\n\n"
    await chunks.aclose()


async def test_a_stream_without_a_match_shows_life_while_the_log_grows(harness: ApiHarness) -> None:
    await harness.create()
    event = harness.log.events[0]

    class Endless:
        """A log that has more of the same whenever it is asked."""

        async def page(self, after_seq: int, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
            await asyncio.sleep(0)
            return [replace(event, seq=after_seq + one) for one in range(1, limit + 1)]

    pages = EventPages(replace(harness.parts, log=Endless()))
    stream = EventStream(harness.parts, pages, harness.app.state.closing, heartbeat_seconds=0.01)
    chunks = stream.chunks(EventSelection(events=("failed",)), 0)
    await anext(chunks)
    assert re.fullmatch(rb": heartbeat\nid: [1-9][0-9]+\n\n", await asyncio.wait_for(anext(chunks), 10))
    await chunks.aclose()


async def test_a_stream_stays_while_the_log_does_not_answer(harness: ApiHarness) -> None:
    await harness.create()
    reader, away = harness.parts.log, True

    class Away:
        async def page(self, after_seq: int, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
            if away:
                raise Busy("log-unreachable", "the log does not answer")
            return await reader.page(after_seq, limit, wanted)

    pages = EventPages(replace(harness.parts, log=Away()))
    closing = harness.app.state.closing
    stream = EventStream(harness.parts, pages, closing, heartbeat_seconds=0.01, away_seconds=0.001)
    chunks = stream.chunks(EventSelection(), 0)
    await anext(chunks)
    assert await anext(chunks) == b": heartbeat\nid: 0\n\n"
    away = False
    while b"event: created" not in (chunk := await anext(chunks)):
        assert chunk == b": heartbeat\nid: 0\n\n"
    await chunks.aclose()


async def test_a_stream_that_breaks_before_its_first_event_is_resumed_where_it_began(
    harness: ApiHarness,
) -> None:
    await finished(harness)
    async with sse(harness.app, "/events/stream") as reader:
        hello = await reader.frame()
    assert hello == {"retry": "1000", "id": str(len(harness.log.events))}
    await harness.create()
    async with sse(harness.app, "/events/stream", {"Last-Event-ID": hello["id"]}) as reader:
        assert (await reader.event())["seq"] == len(harness.log.events)


async def test_a_stream_of_an_unknown_task_is_refused_before_it_begins(harness: ApiHarness) -> None:
    problem(await harness.http.get(f"/events/stream?task_id={new_id()}"), 404, "no-such-task")


@pytest.mark.parametrize("query", ["", "event=created", "workspace=acme", "task_id={task}"])
async def test_nothing_goes_on_beyond_the_log(harness: ApiHarness, query: str) -> None:
    query = query.format(task=await finished(harness))
    end = len(harness.log.events)
    for beyond in (end + 1, 99_999_999, 2**63 - 1):
        for url, headers in (
            (f"/events/stream?{query}", {"Last-Event-ID": str(beyond)}),
            (f"/events/stream?{query}", {"Last-Event-ID": f"{beyond}.{harness.log.events[-1].id}"}),
            (f"/events/stream?{query}&after_seq={beyond}", {}),
            (f"/events?{query}&after_seq={beyond}", {}),
            (f"/events?{query}&cursor={encode_cursor(str(beyond))}", {}),
        ):
            refused = problem(await harness.http.get(url, headers=headers), 404, "beyond-the-log")
            assert f"ends at sequence {end}" in refused["detail"]
            assert refused["last_seq"] == end
    page = await harness.http.get(f"/events?{query}&after_seq={end}")
    assert (page.status_code, page.json()["items"]) == (200, [])


@pytest.mark.parametrize(
    "id", ["-1", "x", "1.", "1.a b", "1.2.3", "1\u0661", "9" * 20, str(2**63), "1e3", "0x1", "."]
)
async def test_what_is_no_position_is_refused(harness: ApiHarness, id: str) -> None:
    problem(
        await harness.http.get("/events/stream", headers={"Last-Event-ID": id.encode()}),
        422,
        "invalid-request",
    )


async def test_a_position_names_its_log(harness: ApiHarness) -> None:
    """After a restore of an older backup that has grown since, another event stands at the same sequence."""
    task_id = await finished(harness)
    events = harness.log.events
    async with sse(harness.app, "/events/stream", {"Last-Event-ID": f"7.{events[6].id}"}) as reader:
        assert (await reader.event())["seq"] == 8
    other = {"Last-Event-ID": f"7.{events[5].id}"}
    refused = problem(await harness.http.get("/events/stream", headers=other), 404, "other-log")
    assert "restored from an older backup" in refused["detail"]
    for url in ("/events?limit=2", f"/tasks/{task_id}/events?limit=2", "/events?event=created&limit=1"):
        cursor = (await harness.http.get(url)).json()["next_cursor"]
        seq, _, event_id = decode_cursor(cursor).partition(".")
        assert event_id == events[int(seq) - 1].id
        assert (await harness.http.get(f"{url}&cursor={cursor}")).status_code == 200
        forged = encode_cursor(f"{seq}.{events[-1].id}")
        problem(await harness.http.get(f"{url}&cursor={forged}"), 404, "other-log")


async def test_a_stream_says_which_log_its_position_is_of(harness: ApiHarness) -> None:
    await harness.create()
    stream = EventStream(
        harness.parts, EventPages(harness.parts), harness.app.state.closing, heartbeat_seconds=0.01
    )
    chunks = stream.chunks(EventSelection(events=("failed",)), 1)
    named = f": position 1.{harness.log.events[0].id}\n\n".encode()
    wanted = [b"retry: 1000\nid: 1\n\n", named, b": heartbeat\nid: 1\n\n", named]
    assert [await anext(chunks) for _ in wanted] == wanted
    await chunks.aclose()


async def test_large_events_of_a_stream_come_in_chunks(harness: ApiHarness) -> None:
    for number in range(20):
        await harness.create(command=["true", "x" * 100_000, str(number)])
    live = EventStream(harness.parts, harness.app.state.event_pages, asyncio.Event())
    sizes = list[int]()
    async for chunk in live.chunks(EventSelection(), 0):
        sizes.append(len(chunk))
        if sum(sizes) > 20 * 100_000:
            break
    assert max(sizes) < CHUNK_BYTES + 200_000
