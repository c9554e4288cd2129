"""Durations and moments, as typed and as shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.validation.durations import duration, seconds
from infra.cli.output.durations import ago, moment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "words"),
    [(-5, "now"), (0.4, "now"), (3.9, "3 s ago"), (61, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_ago(passed: float, words: str) -> None:
    assert ago((NOW - timedelta(seconds=passed)).isoformat(), NOW) == words


@pytest.mark.parametrize(
    ("text", "expected"), [("30", 30), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("7d", 604800)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected
    assert seconds(duration(expected)) == expected
    assert moment(text, NOW) == NOW - timedelta(seconds=expected)


@pytest.mark.parametrize("text", ["", "soon", "-3", "5 parsecs", "2026-03-01T12:00:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|offset|isoformat"):
        moment(text, NOW)


def test_days_are_the_beginning_of_a_day_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead: there it is another day than in UTC
    time.tzset()
    try:
        now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        here = timezone(timedelta(hours=14))
        assert moment("today", now) == datetime(2026, 3, 2, tzinfo=here)
        assert moment("Yesterday", now) == datetime(2026, 3, 1, tzinfo=here)
        assert moment("2026-11-29", now) == datetime(2026, 11, 29, tzinfo=here)
        for end in ("0001-01-01", "9999-12-31"):
            assert moment(end, now).year == int(end[:4])
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_leap_second_is_the_end_of_the_second_before() -> None:
    found = moment("2016-12-31T23:59:60Z", NOW)
    assert found == datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["9" * 400, "36501d", "9999999999d", "2026-02-30", "2026-13-01", "٣m", "today 3"]
)
def test_what_is_no_time_either(text: str) -> None:
    with pytest.raises(ValueError, match=r"too long|isoformat|out of range|month"):
        moment(text, NOW)
