"""Schedule: when a channel is told. Windows of digests and quiet hours, as functions of a state and a time.

A channel with a digest window collects what comes within it and is told once. Quiet hours are times of the
wall clock in a time zone: on the days when that clock is changed they are an hour longer or shorter, as the
night is. What they hold comes as one digest when they end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_QUIET = re.compile(r"([0-9]{2}:[0-9]{2})-([0-9]{2}:[0-9]{2}) (\S+)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Every day from `begin` to `end` by the wall clock of `zone`; over midnight where `end` is earlier."""

    begin: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """`22:00-07:00 Europe/Berlin`; ValueError otherwise."""
        found = _QUIET.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text[:60]!r} is no time of quiet: write it as `22:00-07:00 Europe/Berlin`")
        try:
            begin, end = time.fromisoformat(found[1]), time.fromisoformat(found[2])
        except ValueError:
            raise ValueError(f"{found[1]}-{found[2]} are no times of a day: write 00:00 to 23:59") from None
        if begin == end:
            raise ValueError("quiet hours that begin when they end would be empty: leave them out")
        try:
            zone = ZoneInfo(found[3])
        except (OSError, ValueError, KeyError):  # it looks for a file of that name
            raise ValueError(
                f"{found[3][:60]!r} is no time zone: write one such as Europe/Berlin or UTC"
            ) from None
        return cls(begin, end, zone)

    def end_after(self, at: datetime) -> datetime | None:
        """When the quiet hours that hold `at` end, in UTC; None if none do."""
        day = at.astimezone(self.zone).date()
        for first in (day - timedelta(days=1), day):
            begin, end = self._on(first)
            if begin <= at < end:
                return end
        return None

    def _on(self, day: date) -> tuple[datetime, datetime]:
        last = day if self.begin < self.end else day + timedelta(days=1)
        return self._utc(day, self.begin), self._utc(last, self.end)

    def _utc(self, day: date, at: time) -> datetime:
        """The first instant that shows this time, or the one after the gap that leaves it out."""
        return datetime.combine(day, at, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Placement:
    """When a notice goes out; `bundles`: together with the others of its channel that are due then."""

    due_at: datetime
    bundles: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """When one channel is told."""

    digest: timedelta | None = None
    quiet: QuietHours | None = None

    def place(self, now: datetime, *, urgent: bool, window_end: datetime | None) -> Placement:
        """When what arrives `now` goes out. `window_end`: the end of the channel's open window, if any."""
        if urgent:
            return Placement(now, bundles=False)
        if window_end is not None and window_end > now:
            return Placement(window_end, bundles=True)
        due_at = now + (self.digest or timedelta())
        held_until = self.held_until(due_at)
        if held_until is not None:
            return Placement(held_until, bundles=True)
        return Placement(due_at, bundles=self.digest is not None)

    def held_until(self, at: datetime) -> datetime | None:
        """When quiet hours let go what is due `at`; None if they do not hold it."""
        return self.quiet.end_after(at) if self.quiet is not None else None
