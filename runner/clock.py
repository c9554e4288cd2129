"""The runner's two clocks: wall clock for people, boot time for deadlines.

CLOCK_MONOTONIC stops while a laptop or a VM sleeps: a lease measured with it would still be valid after
waking up, although the control plane has given the attempt away.
"""

from __future__ import annotations

import os
import time
from functools import cache

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from datetime import datetime


def boottime() -> float:
    """Seconds since boot, suspended time included; comparable between all processes of a host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def this_boot() -> str:
    """The id of this boot of the host."""
    handle = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, 64).decode().strip()
    finally:
        os.close(handle)


def stamp() -> str:
    """Now in UTC, as `utcnow().isoformat()`, for processes that do without that module."""
    seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06}+00:00"


def utcnow() -> datetime:
    """Now, aware, in UTC."""
    from datetime import UTC, datetime  # a millisecond that `towpath lock` need not wait for

    return datetime.now(UTC)
