"""Parses timestamps of other programs: which are accepted, clamped or refused.

A time in a request or a report is RFC 3339 text with an offset; one without an offset is ambiguous and is
refused. A time outside EARLIEST to LATEST is clamped to that range, since the broker's 64-bit nanoseconds end
in 2262, databases and languages have other limits, and no event lies outside. Clamping keeps the order of
times, lets a query from the year 1 start at the log's beginning, and accepts a report whose runner has a
wrong clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)
_LEAP_SECOND = re.compile(r"(?<=[Tt ]\d\d:\d\d):60(\.\d+)?", re.ASCII)


def clamp(at: datetime) -> datetime:
    """`at` (aware) in UTC, clamped to the range that broker and databases can store."""
    try:
        return min(max(at.astimezone(UTC), EARLIEST), LATEST)
    except OverflowError:  # in UTC it lies outside the years 1 to 9999
        return EARLIEST if at.year < EARLIEST.year else LATEST


def _representable(at: datetime) -> datetime:
    try:
        at.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time must lie within the years 1 to 9999 in UTC") from None
    return at


def without_leap_second(text: str) -> str:
    """RFC 3339 text with second 60, which Python's datetime cannot hold, replaced by 59.999999."""
    return _LEAP_SECOND.sub(":59.999999", text)


def _text(value: Any) -> Any:
    """Refuse numbers, which pydantic would take for seconds since 1970; the contract requires text."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC3339.match(value):
        return without_leap_second(value)
    raise ValueError("write a time as RFC 3339 with an offset, e.g. 2026-03-01T12:00:00Z")


Moment = Annotated[
    AwareDatetime, BeforeValidator(_text), AfterValidator(_representable), AfterValidator(clamp)
]
"""A time in a query."""
ClockTime = Annotated[AwareDatetime, BeforeValidator(_text), AfterValidator(clamp)]
"""A time from a runner's clock: clamped, never refused for being out of range."""
