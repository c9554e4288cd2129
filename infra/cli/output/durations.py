"""Times for people (`3 s ago`, `yesterday`); JSON forms keep RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from domain.validation.durations import seconds

LONGEST_WAIT_SECONDS = 30 * 86400.0
"""Longest wait for a task or a user; the API accepts no more."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAYS_AGO = {"today": 0, "yesterday": 1}
_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def parse(text: str) -> datetime:
    """An aware datetime from RFC 3339; ValueError otherwise."""
    if ":60" in text:
        from domain.validation.timestamps import without_leap_second

        text = without_leap_second(text)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: end it with Z or +00:00")
    return at


def moment(text: str, now: datetime) -> datetime:
    """A time: RFC 3339, a duration before `now`, or the beginning of a day here; ValueError otherwise.

    A day is `2026-03-01`, `today` or `yesterday`.
    """
    text = text.strip()
    days = _DAYS_AGO.get(text.lower())
    if days is not None:
        return _beginning_of(now.astimezone().date() - timedelta(days=days))
    if _DATE.fullmatch(text):
        return _beginning_of(date.fromisoformat(text))
    if re.fullmatch(r"[0-9.]+[smhd]?", text):
        return now - timedelta(seconds=seconds(text))
    return parse(text)


def _beginning_of(day: date) -> datetime:
    """Midnight in this machine's time zone."""
    try:
        return datetime(day.year, day.month, day.day).astimezone()
    except (OverflowError, ValueError, OSError):  # no local time is defined at the ends of the calendar
        return datetime(day.year, day.month, day.day, tzinfo=UTC)


def ago(text: str | None, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was, in its largest unit; empty for None."""
    if text is None:
        return ""
    passed = ((now or datetime.now(UTC)) - parse(text)).total_seconds()
    for length, unit in _STEPS:
        if passed >= length:
            return f"{int(passed / length)} {unit} ago"
    return "now"


def clock_time(text: str, now: datetime | None = None) -> str:
    """Local time of day to the millisecond, with the date unless it is today: for reading sequences."""
    at = parse(text).astimezone()
    today = (now or datetime.now(UTC)).astimezone().date()
    return at.strftime("%H:%M:%S.%f" if at.date() == today else "%Y-%m-%d %H:%M:%S.%f")[:-3]
