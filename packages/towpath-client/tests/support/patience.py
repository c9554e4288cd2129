"""Waiting for a condition with a deadline, without an event loop."""

from __future__ import annotations

import time
from typing import Any


def until(condition: Any, seconds: float = 30.0) -> Any:
    """What `condition` returns once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)
    return found
