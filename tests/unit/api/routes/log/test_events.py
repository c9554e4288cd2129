"""The trail and pages of the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.queries import event_pages
from api.queries.event_pages import EventPages, EventSelection
from api.routes.log.events import PAGE_BYTES
from domain.errors import Busy
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from domain.ports.log import LogGap
from tests.unit.api.api_harness import ApiHarness, finished, problem

TRAIL = ["created", "dispatched", "granted", "running", "succeeded", "released"]


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
