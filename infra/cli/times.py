"""Times as people read and write them: `3 s ago`, `10m`; programs get RFC 3339 in the JSON forms."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_DAYS = 36_500
_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def seconds(text: str) -> float:
    """Seconds from `30`, `1.5s`, `10m`, `2h` or `7d`; ValueError otherwise."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text.strip())
    if found is None:
        raise ValueError(
            f"{text[:40]!r} is no duration: give seconds, or a number with s, m, h or d, such as 10m"
        )
    length = float(found[1]) * _UNITS[found[2]]
    if length > LONGEST_DAYS * 86400.0:
        raise ValueError(f"that is too long: at most {LONGEST_DAYS}d")
    return length


def duration(length: float) -> str:
    """`length` seconds as `seconds` reads them, in the largest unit that says it exactly."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "m")):
        if length >= size and length % size == 0:
            return f"{length / size:g}{unit}"
    return f"{length:g}s"


def parse(text: str) -> datetime:
    """An aware datetime from RFC 3339; ValueError otherwise."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: end it with Z or +00:00")
    return at


def moment(text: str, now: datetime) -> datetime:
    """A point in time from RFC 3339 or from a duration before `now`; ValueError otherwise."""
    return now - timedelta(seconds=seconds(text)) if re.match(r"[0-9.]+[smhd]?$", text) else parse(text)


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
    """Local time of day to the millisecond, with the date unless it is today's: for reading sequences."""
    at = parse(text).astimezone()
    today = (now or datetime.now(UTC)).astimezone().date()
    return at.strftime("%H:%M:%S.%f" if at.date() == today else "%Y-%m-%d %H:%M:%S.%f")[:-3]
