"""Digest windows and quiet hours, also on the days when clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notices.schedule import QuietHours, Timing

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours.parse("22:00-07:00 Europe/Berlin")
_zones = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]
)
_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30]))
_quiet = st.builds(
    lambda ends, zone: QuietHours(*ends, ZoneInfo(zone)),
    st.tuples(_times, _times).filter(lambda ends: ends[0] != ends[1]),
    _zones,
)
_moments = st.integers(0, 3 * 365 * 24 * 60).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@given(_quiet, _moments)
def test_quiet_is_what_the_wall_clock_shows(quiet: QuietHours, at: datetime) -> None:
    """Within two hours of a change of the clock, a time may be shown twice or not at all."""
    zone_at = at.astimezone(quiet.zone)
    near = {(at + timedelta(hours=hours)).astimezone(quiet.zone).utcoffset() for hours in range(-26, 27)}
    shown = zone_at.time()
    inside = (
        quiet.begin <= shown < quiet.end
        if quiet.begin < quiet.end
        else shown >= quiet.begin or shown < quiet.end
    )
    end = quiet.end_after(at)
    if len(near) == 1:
        assert (end is not None) == inside
    if end is not None:
        assert at < end <= at + timedelta(hours=25)
        assert quiet.end_after(end) is None
        assert end.astimezone(quiet.zone).time() == quiet.end or len(near) > 1


@pytest.mark.parametrize(
    ("begins", "ends", "hours"),
    [
        ("2026-03-28T22:00", "2026-03-29T07:00", 8),  # the clock is put forward
        ("2026-10-24T22:00", "2026-10-25T07:00", 10),  # the clock is put back
        ("2026-06-01T22:00", "2026-06-02T07:00", 9),
    ],
)
def test_a_night_is_as_long_as_the_clock_makes_it(begins: str, ends: str, hours: int) -> None:
    begin, end = _at(begins), _at(ends)
    assert end - begin == timedelta(hours=hours)
    assert NIGHT.end_after(begin - timedelta(microseconds=1)) is None
    for minutes in range(0, hours * 60, 10):
        assert NIGHT.end_after(begin + timedelta(minutes=minutes)) == end
    assert NIGHT.end_after(end) is None


def test_an_end_in_the_hour_that_is_left_out_is_right_after_it() -> None:
    quiet = QuietHours.parse("22:00-02:30 Europe/Berlin")
    assert quiet.end_after(_at("2026-03-28T23:00")) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_an_end_in_the_hour_that_comes_twice_is_the_first_one() -> None:
    quiet = QuietHours.parse("22:00-02:30 Europe/Berlin")
    assert quiet.end_after(_at("2026-10-24T23:00")) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "22:00-07:00", "22-07 UTC", "25:00-07:00 UTC", "07:00-07:00 UTC", "22:00-07:00 Berlin",
        "22:00-07:00 ../etc/passwd", "22:00-07:00 Europe",
    ],
)  # fmt: skip
def test_what_is_no_quiet(text: str) -> None:
    with pytest.raises(ValueError, match=r"quiet|time"):
        QuietHours.parse(text)


_timings = st.builds(
    Timing, st.none() | st.integers(1, 7200).map(lambda n: timedelta(seconds=n)), st.none() | _quiet
)


@given(_timings, st.lists(st.tuples(st.integers(0, 7200), st.booleans()), min_size=1, max_size=30), _moments)
def test_everything_is_placed_and_a_window_is_one(
    timing: Timing, steps: list[tuple[int, bool]], now: datetime
) -> None:
    window: datetime | None = None
    for pause, urgent in steps:
        now += timedelta(seconds=pause)
        place = timing.place(now, urgent=urgent, window_end=window)
        assert place.due_at >= now
        if urgent:
            assert (place.due_at, place.bundles) == (now, False)
            continue
        assert timing.held_until(place.due_at) is None
        if window is not None and window > now:
            assert place.due_at == window
        elif timing.digest is None and timing.held_until(now) is None:
            assert (place.due_at, place.bundles) == (now, False)
        if place.bundles:
            window = place.due_at


def test_a_question_is_asked_at_night() -> None:
    timing, night = Timing(timedelta(seconds=30), NIGHT), _at("2026-06-01T23:00")
    assert timing.place(night, urgent=True, window_end=None).due_at == night
    assert timing.place(night, urgent=False, window_end=None).due_at == _at("2026-06-02T07:00")
