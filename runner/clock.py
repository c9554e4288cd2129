"""The runner's two clocks: wall clock for people, boot time for deadlines.

A lease that counted CLOCK_MONOTONIC would stand still while a laptop or a VM sleeps, and wake up
valid although the control plane gave the attempt away long ago.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def boottime() -> float:
    """Seconds since boot, suspended time included; comparable between all processes of a host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utcnow() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)
