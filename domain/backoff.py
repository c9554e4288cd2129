"""Backoff: how long to wait after each failed try.

One rule for appends, reports and clients that follow a stream: a pause that grows by a
factor up to a bound. The caller waits, and adds jitter where many clients retry against one server.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_GROWTH = 60


@dataclass(frozen=True, slots=True)
class Backoff:
    """The first pause is `first_seconds`; each next one is `factor` times longer, up to `longest_seconds`."""

    first_seconds: float
    longest_seconds: float = math.inf
    factor: float = 2.0

    def after(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure in a row, counted from 1."""
        growth = min(failures - 1, _MOST_GROWTH)  # a float overflows after about a thousand doublings
        return min(self.first_seconds * self.factor**growth, self.longest_seconds)

    def pauses(self, tries: int | None = None) -> Iterator[float]:
        """The pauses between `tries` tries (one fewer than tries); None: an endless sequence of pauses."""
        return map(self.after, itertools.count(1) if tries is None else range(1, tries + 1))
