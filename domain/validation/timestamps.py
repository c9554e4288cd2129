"""Parses timestamps of other programs: what is read, clamped or refused.

A time in a request or a report is RFC 3339 text with an offset. One without an offset means nothing here
and is refused. One outside EARLIEST to LATEST is moved there: the broker counts nanoseconds in 64 bits,
which end in 2262, and databases and languages end elsewhere, while no event lies outside. So the order of
times never changes, a question about the year 1 begins with the log, and a report is not lost because of
its runner's clock.
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
    """`at` (aware) in UTC, moved into the range that everything behind us can hold."""
    try:
        return min(max(at.astimezone(UTC), EARLIEST), LATEST)
    except OverflowError:  # its offset leads out of the years 1 to 9999
        return EARLIEST if at.year < EARLIEST.year else LATEST


def _representable(at: datetime) -> datetime:
    try:
        at.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time must lie within the years 1 to 9999 in UTC") from None
    return at


def without_leap_second(text: str) -> str:
    """RFC 3339 text whose second 60, which no clock of ours has, is the end of the second before."""
    return _LEAP_SECOND.sub(":59.999999", text)


def _text(value: Any) -> Any:
    """A number would be taken for seconds since 1970; the contract says text."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC3339.match(value):
        return without_leap_second(value)
    raise ValueError("write a time as RFC 3339 with an offset, e.g. 2026-03-01T12:00:00Z")


Moment = Annotated[
    AwareDatetime, BeforeValidator(_text), AfterValidator(_representable), AfterValidator(clamp)
]
"""A time that somebody asks about."""
ClockTime = Annotated[AwareDatetime, BeforeValidator(_text), AfterValidator(clamp)]
"""What a runner's clock said: moved, never refused for lying far away."""
