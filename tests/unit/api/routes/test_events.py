"""The trail, pages of the log and the live stream."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from api.app import begin_closing
from api.queries import event_pages
from api.queries.event_pages import EventPages, EventSelection
from api.queries.paging import decode_cursor, encode_cursor
from api.routes.events import PAGE_BYTES
from api.streaming.event_stream import CHUNK_BYTES, EventStream
from domain.errors import Busy
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from domain.ports.log import LogGap
from tests.unit.api.api_harness import ApiHarness, new_id, problem
from tests.unit.api.sse_reader import sse

TRAIL = ["created", "dispatched", "granted", "running", "succeeded", "released"]


async def finished(harness: ApiHarness) -> str:
    """A task that held `acme` and has ended; another one's events lie between its own."""
    if not harness.parts.view.registrations():
        await harness.register()
    released = harness.events().count("released")
    task = await harness.create(workspace="acme", env={"KEY": "hush"})
    await harness.create()
    await harness.http.post(f"/tasks/{task['id']}/dispatch")
    await harness.report(task["id"], "running")
    await harness.create()
    await harness.report(task["id"], "succeeded")
    await harness.until("released", released + 1)
    return str(task["id"])


async def walk(harness: ApiHarness, url: str) -> list[dict[str, Any]]:
    """All items of a list, page after page by Link."""
    found: list[dict[str, Any]] = []
    link: str | None = url
    while link:
        answer = await harness.http.get(link)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        link = answer.headers.get("link")
        link = link.partition(">")[0].removeprefix("<") if link else None
    return found


@pytest.mark.parametrize("behind", [None, 0, 4, 6])
@pytest.mark.parametrize("limit", [1, 2, 4, 500])
async def test_the_trail_is_whole_however_far_the_read_model_is(
    harness: ApiHarness, limit: int, behind: int | None
) -> None:
    task_id = await finished(harness)
    await finished(harness)
    harness.read_model.behind = behind
    found = await walk(harness, f"/tasks/{task_id}/events?limit={limit}")
    assert [one["event"] for one in found] == TRAIL
    assert [one["seq"] for one in found] == sorted(one["seq"] for one in found)
    assert {one["task_id"] for one in found} == {task_id}


async def test_a_very_long_trail_is_read_in_pages(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "SCAN_STEP", 2)
    task_id = await finished(harness)
    for limit in (1, 2, 3, 6):
        found = await walk(harness, f"/tasks/{task_id}/events?limit={limit}")
        assert [one["event"] for one in found] == TRAIL


async def test_an_event_shows_everything_but_secrets(harness: ApiHarness) -> None:
    task_id = await finished(harness)
    [created, *_] = await walk(harness, f"/tasks/{task_id}/events")
    assert set(created) == {
        "seq", "id", "type", "event", "task_id", "workspace", "attempt", "version", "time", "actor", "chain",
        "data",
    }  # fmt: skip
    assert (created["type"], created["data"]["env"]) == ("towpath.task.created.v1", {"KEY": "***"})
    assert "secrets" not in created["data"]


async def test_an_event_names_secrets_only(harness: ApiHarness) -> None:
    body = {"command": ["true"], "env": {"CC": "clang"}, "secrets": {"KEY": "hush"}}
    answer = await harness.http.post("/tasks", json=body)
    assert "hush" not in answer.text
    trail = await harness.http.get(f"/tasks/{answer.json()['id']}/events")
    assert trail.json()["items"][0]["data"]["secrets"] == {"KEY": "***"}
    assert "hush" not in trail.text


@pytest.mark.parametrize("limit", [1, 3, 500])
async def test_the_log_is_paged_and_filtered(harness: ApiHarness, limit: int) -> None:
    task_id = await finished(harness)

    async def names(query: str) -> list[str]:
        return [one["event"] for one in await walk(harness, f"/events?limit={limit}&{query}")]

    assert await names("") == harness.events()
    assert await names("after_seq=3") == harness.events()[3:]
    assert await names(f"task_id={task_id}") == TRAIL
    assert await names(f"task_id={task_id}&event=granted") == ["granted"]
    assert await names(f"task_id={task_id}&workspace=other") == []
    assert await names("event=created") == ["created"] * 3
    assert await names("workspace=acme") == ["registered", *TRAIL]
    assert await names("workspace=acme&event=granted") == ["granted"]
    assert await names("workspace=other") == []


async def test_a_scan_is_bounded_and_says_where_to_go_on(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "SCAN_STEP", 2)
    monkeypatch.setattr(event_pages, "SCAN_STEPS", 1)
    await finished(harness)
    first = (await harness.http.get("/events?workspace=other")).json()
    assert first["items"] == []
    assert first["next_cursor"]
    assert [one["event"] for one in await walk(harness, "/events?workspace=acme")] == ["registered", *TRAIL]


@pytest.mark.parametrize("behind", [None, 0])
async def test_the_workspaces_of_tasks_are_found_and_forgotten_in_bounds(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, behind: int | None
) -> None:
    monkeypatch.setattr(event_pages, "CACHED_TASKS", 1)
    await finished(harness)
    await finished(harness)
    harness.read_model.behind = behind
    pages = EventPages(harness.parts)
    after = harness.log.events[2].seq
    page = await pages.scan(EventSelection(workspace="acme"), after, 500, steps=1)
    assert [one.event for one in page.events].count("succeeded") == 2
    assert len(pages._workspaces) == 1


@pytest.mark.parametrize(
    "query",
    [
        "after_seq=-1",
        "after_seq=" + "9" * 30,
        "event=exploded",
        "event=*",
        "workspace=a.b",
        "task_id=*",
        "x=1",
    ],
)
async def test_filters_of_the_log_that_cannot_be_meant_are_refused(harness: ApiHarness, query: str) -> None:
    for path in ("/events", "/events/stream"):
        problem(await harness.http.get(f"{path}?{query}"), 422, "invalid-request")
    problem(await harness.http.get("/events?cursor=bm9wZQ"), 422, "bad-cursor")
    bad = await harness.http.get("/events/stream", headers={"Last-Event-ID": "x"})
    problem(bad, 422, "invalid-request")


async def test_a_hole_in_the_log_is_never_passed_over(harness: ApiHarness) -> None:
    await finished(harness)
    events = harness.log.events

    class Holed:
        async def page(self, after_seq: int, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
            return [one for one in events if one.seq > after_seq and one.seq != 3][:limit]

    pages = EventPages(replace(harness.parts, log=Holed()))
    with pytest.raises(LogGap):
        await pages.scan(EventSelection(), 0, 500, steps=1)


async def test_a_trail_from_a_lagging_replica_is_not_answered(harness: ApiHarness) -> None:
    task_id = await finished(harness)
    reader = harness.parts.log

    class Lagging:
        last_seq, last_seq_of, at = reader.last_seq, reader.last_seq_of, reader.at

        async def page(self, after_seq: int, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
            return (await reader.page(after_seq, limit, wanted))[:-1]

    pages = EventPages(replace(harness.parts, log=Lagging()))
    with pytest.raises(Busy):
        await pages.of_task(task_id, 0, 500)


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
    chunks = stream.chunks(EventSelection(event="failed"), 0)
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
    chunks = stream.chunks(EventSelection(event="failed"), 0)
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
    chunks = stream.chunks(EventSelection(event="failed"), 1)
    named = f": position 1.{harness.log.events[0].id}\n\n".encode()
    wanted = [b"retry: 1000\nid: 1\n\n", named, b": heartbeat\nid: 1\n\n", named]
    assert [await anext(chunks) for _ in wanted] == wanted
    await chunks.aclose()


async def test_a_page_of_very_large_events_ends_early_and_its_cursor_goes_on(harness: ApiHarness) -> None:
    made = [
        (await harness.create(command=["true", "x" * 100_000, str(number)]))["id"] for number in range(60)
    ]
    found, url, pages = list[str](), "/events?limit=500", 0
    while url:
        answer = await harness.http.get(url)
        assert len(answer.content) < PAGE_BYTES + 200_000
        found += [one["task_id"] for one in answer.json()["items"]]
        url, pages = answer.links["next"]["url"] if "next" in answer.links else "", pages + 1
        assert bool(url) == (answer.json()["next_cursor"] is not None)
    assert found == made
    assert pages == 2


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
