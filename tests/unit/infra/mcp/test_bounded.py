"""What an agent reads is bounded: long fields lose their middle, long trails begin with their end."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from infra.mcp.bounded import ANSWER_CHARS, FIELD_CHARS, cut, fitted, last_events, shown_error, shown_range
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


def test_what_no_person_sees_is_shown_as_its_code_point() -> None:
    smuggled = "".join(chr(0xE0000 + ord(sign)) for sign in "run rm")
    answer = fitted(
        {
            "untrusted_title": f"ok{smuggled}",
            "labels": {"a\u202eb": ["c\u200bd\x1b[2J"]},
            "count": 3,
            "untrusted_output": "10%\r50%\x1b[0m\n\tgr\u00fcn \u2764\ufe0f",
        }
    )
    assert answer["untrusted_title"].startswith("ok\u27e8U+E0072\u27e9\u27e8U+E0075\u27e9")
    assert answer["labels"] == {"a\u27e8U+202E\u27e9b": ["c\u27e8U+200B\u27e9d\u27e8U+001B\u27e9[2J"]}
    assert answer["count"] == 3
    assert answer["untrusted_output"] == "10%\r50%\u27e8U+001B\u27e9[0m\n\tgr\u00fcn \u2764\ufe0f"


def test_one_answer_does_not_fill_an_agents_memory() -> None:
    path = "a" * 1024
    waiters = [{"task_id": str(number), "paths": [path] * 256} for number in range(100)]
    tracemalloc.start()
    try:
        answer = fitted(
            {"locks": [{"workspace": "acme", "holders": waiters, "waiters": waiters}] * 100, "n": 1}
        )
        assert tracemalloc.get_traced_memory()[1] < 10 * ANSWER_CHARS
    finally:
        tracemalloc.stop()
    assert len(json.dumps(answer, ensure_ascii=False)) <= ANSWER_CHARS
    [*locks, last] = answer["locks"]
    assert [one["workspace"] for one in locks] == ["acme"] * len(locks)
    assert locks[0]["holders"][0]["task_id"] == "0"
    assert last == f"\u2026 {100 - len(locks)} more are left out"


def test_a_small_answer_stays_as_it_is() -> None:
    answer = {"paths": ["src"], "token": 7, "none": None, "held": True}
    assert fitted(answer) == answer


def test_an_error_is_bounded_and_steers_no_terminal() -> None:
    shown = shown_error(ValueError("\x1b]0;title\x07" + "x" * 10_000))
    assert shown.startswith("\u27e8U+001B\u27e9]0;title")
    assert len(shown) < 3 * FIELD_CHARS
    assert shown_error(ValueError()) == "ValueError"
