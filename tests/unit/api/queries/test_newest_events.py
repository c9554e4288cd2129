"""Pages of the log, newest first: as forwards, whatever the steps; never from a read that lags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from api.queries import event_pages
from api.queries.event_pages import EventPages, EventSelection
from api.queries.newest_events import NewestEvents
from domain.errors import Busy
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from domain.ports.read_model import EventSeqs
from tests.unit.api.api_harness import ApiHarness, finished, problem

END = 10**9
FILTERS: list[dict[str, Any]] = [
    {},
    {"event": "created"},
    {"event": "registered"},
    {"event": "failed"},
    {"event": ["granted", "released", "failed"]},
    {"workspace": "acme"},
    {"workspace": "acme", "event": ["granted", "released"]},
    {"workspace": "acme", "event": ["granted", "succeeded"]},
    {"actor": "api"},
    {"from": 4, "to": 15},
    {"event": "created", "from": 4, "to": 15},
    {"after_seq": 12, "event": ["created", "running"]},
]


async def walk(harness: ApiHarness, **params: Any) -> list[int]:
    """The sequences of all pages, by Link."""
    found: list[int] = []
    url = f"/events?{urlencode(params, doseq=True)}"
    while url:
        answer = await harness.http.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= params["limit"]
        found += [one["seq"] for one in page["items"]]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
        assert bool(url) == (page["next_cursor"] is not None)
    return found


@pytest.mark.parametrize("limit", [1, 3, 500])
@pytest.mark.parametrize(("step", "steps"), [(1, 1), (2, 3), (500, 20)])
async def test_pages_are_those_of_the_log_turned_round(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, limit: int, step: int, steps: int
) -> None:
    monkeypatch.setattr(event_pages, "SCAN_STEP", step)
    monkeypatch.setattr(event_pages, "SCAN_STEPS", steps)
    task_id = await finished(harness)
    await finished(harness)
    for wanted in [*FILTERS, {"task_id": task_id}, {"task_id": task_id, "event": "running"}]:
        forwards = await walk(harness, limit=limit, **wanted)
        for before in (END, 9, 1):
            asked = await walk(harness, limit=limit, before_seq=before, **wanted)
            assert asked == [seq for seq in reversed(forwards) if seq < before], (wanted, before)
    names = {one["event"]: one["seq"] for one in (await harness.http.get("/events")).json()["items"]}
    (last,) = (await harness.http.get(f"/events?before_seq={END}&limit=1&event=released")).json()["items"]
    assert last["seq"] == names["released"]


@pytest.mark.parametrize("known", [0, 3, 7, 12, None])
@pytest.mark.parametrize(("step", "limit"), [(1, 2), (4, 500), (500, 1)])
async def test_pages_by_name_do_not_depend_on_how_far_the_read_model_is(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, known: int | None, step: int, limit: int
) -> None:
    monkeypatch.setattr(event_pages, "SCAN_STEP", step)
    monkeypatch.setattr(event_pages, "SCAN_STEPS", 1)
    await finished(harness)
    await finished(harness)
    harness.read_model.behind = known
    for names in (["created"], ["granted", "released"], ["asked"], ["created", "created"]):
        for span in ({}, {"after_seq": 4}, {"from": 3, "to": 14}):
            every = [one.seq for one in harness.log.events if one.event in names]
            first, last = span.get("from", span.get("after_seq", 0) + 1), span.get("to", END)
            wanted = [seq for seq in every if first <= seq <= last]
            assert await walk(harness, limit=limit, event=names, **span) == wanted
            assert await walk(harness, limit=limit, before_seq=END, event=names, **span) == wanted[::-1]


@pytest.mark.parametrize("trouble", ["away", "other"])
async def test_without_a_fitting_read_model_the_log_filters_by_name(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(event_pages, "SCAN_STEP", 1)
    await finished(harness)

    async def unfitting(
        names: Sequence[str], after: int, before: int, limit: int, *, newest: bool = False
    ) -> EventSeqs:
        if trouble == "away":
            raise Busy("read-model-unreachable", "away")
        return EventSeqs([5, 6], 7)  # of another log

    monkeypatch.setattr(harness.read_model, "event_seqs", unfitting)
    wanted = [one.seq for one in harness.log.events if one.event == "released"]
    assert await walk(harness, limit=500, event="released") == wanted
    assert await walk(harness, limit=500, before_seq=END, event="released") == wanted


class Lagging:
    """A replica that has read `lost` events less than the leader."""

    def __init__(self, harness: ApiHarness, lost: int) -> None:
        self._reader, self._end = harness.parts.log, len(harness.log.events) - lost
        self.last_seq, self.last_seq_of = self._reader.last_seq, self._reader.last_seq_of

    async def page(self, after_seq: int, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
        found = await self._reader.page(after_seq, limit, wanted)
        return [event for event in found if event.seq <= self._end]


@pytest.mark.parametrize("lost", [1, 5, 9])
async def test_no_page_comes_from_a_read_that_lags(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    await finished(harness)
    await finished(harness)
    harness.read_model.behind = 0
    parts = replace(harness.parts, log=Lagging(harness, lost))
    pages = EventPages(parts)
    newest, end = NewestEvents(parts, pages), len(harness.log.events) + 1
    for wanted in (EventSelection(), EventSelection(events=("created",)), EventSelection(workspace="acme")):
        with pytest.raises(Busy):
            await newest.page(wanted, 0, end, 500)
    both = EventSelection(events=("granted", "released"))
    with pytest.raises(Busy):
        await newest._stored(EventFilter(event="released"), 0, end, 500)
    monkeypatch.setattr(event_pages, "SCAN_STEP", 1)
    with pytest.raises(Busy):
        await pages.page(both, 0, 500)


async def test_one_event_is_found_by_its_sequence(harness: ApiHarness) -> None:
    await finished(harness)
    listed = (await harness.http.get("/events")).json()["items"]
    for one in listed:
        assert (await harness.http.get(f"/events/{one['seq']}")).json() == one
    assert "hush" not in (await harness.http.get("/events/2")).text
    beyond = problem(await harness.http.get("/events/99"), 404, "beyond-the-log")
    assert beyond["last_seq"] == len(listed)
    for bad in ("0", "-1", "x", "9" * 30):
        problem(await harness.http.get(f"/events/{bad}"), 422, "invalid-request")
