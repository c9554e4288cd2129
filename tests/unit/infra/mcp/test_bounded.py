"""What an agent reads is bounded: long fields lose their middle, long trails begin with their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from infra.mcp.bounded import FIELD_CHARS, cut, last_events, shown_range
from towpath_client import Event, OutputRange


async def events(count: int) -> AsyncIterator[Event]:
    for seq in range(1, count + 1):
        data = {"title": "x" * 5 * FIELD_CHARS, "paths": ["src"], "reason": None}
        time = datetime(2026, 1, 1, tzinfo=UTC)
        yield Event(
            seq=seq, id=f"e{seq}", type="t", event="created", version=1, time=time, actor="api", data=data
        )


def test_a_long_text_loses_its_middle() -> None:
    assert cut(None) is None
    assert cut("short") == "short"
    assert cut("a" * 50 + "b" * 50, 10) == "aaaaa … [90 characters left out] … bbbbb"


async def test_a_trail_is_read_from_its_end_backwards() -> None:
    last = await last_events(events(7), None, 3)
    assert [one["seq"] for one in last["untrusted_events"]] == [5, 6, 7]
    earlier = await last_events(events(7), last["before_seq_for_earlier_ones"], 3)
    assert [one["seq"] for one in earlier["untrusted_events"]] == [2, 3, 4]
    first = await last_events(events(7), earlier["before_seq_for_earlier_ones"], 3)
    assert [one["seq"] for one in first["untrusted_events"]] == [1]
    assert first["before_seq_for_earlier_ones"] is None


async def test_the_data_of_an_event_is_bounded_and_keeps_its_shape() -> None:
    [event] = (await last_events(events(1), None, 1))["untrusted_events"]
    assert event["data"]["paths"] == ["src"]
    assert len(event["data"]["title"]) < FIELD_CHARS + 100
    assert "reason" not in event["data"]


async def test_a_trail_without_events() -> None:
    assert await last_events(events(0), None, 3) == {
        "before_seq_for_earlier_ones": None,
        "untrusted_events": [],
    }


def test_a_range_of_output_tells_how_to_go_on() -> None:
    found = OutputRange(attempt=1, offset=10, size=30, complete=True, content=b"na\xffve")
    shown = shown_range(found)
    assert (shown["next_offset"], shown["more"], shown["complete"]) == (15, True, True)
    assert shown["untrusted_output"] == "na\ufffdve"
