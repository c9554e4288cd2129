"""The runner's clocks."""

from __future__ import annotations

from datetime import datetime, timedelta

from runner.clock import stamp, utcnow


def test_a_stamp_is_the_time_as_the_module_of_times_writes_it() -> None:
    before, stamped, after = utcnow(), stamp(), utcnow()
    found = datetime.fromisoformat(stamped)
    assert before <= found <= after
    assert found.utcoffset() == timedelta()
    assert stamped == found.isoformat(timespec="microseconds")
