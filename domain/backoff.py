"""Backoff: how long to wait after each failed try.

One rule for appends, reports and clients that follow a stream: a pause that grows by a
factor up to a bound. It only computes; the caller waits, and adds jitter where many wait for one server.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_GROWTH = 60


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first_seconds` first, then `factor` times the last pause, never more than `longest_seconds`."""

    first_seconds: float
    longest_seconds: float = math.inf
    factor: float = 2.0

    def after(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure in a row, counted from 1."""
        growth = min(failures - 1, _MOST_GROWTH)  # a float would overflow after a thousand
        return min(self.first_seconds * self.factor**growth, self.longest_seconds)

    def pauses(self, tries: int | None = None) -> Iterator[float]:
        """The pause after each of `tries` tries, or without end."""
        return map(self.after, itertools.count(1) if tries is None else range(1, tries + 1))
