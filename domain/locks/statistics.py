"""Statistics of a fold: events by type, and how long claims waited for their locks and held them.

Cheap enough for every event. Events before `since` are folded at a start but not counted: a counter that
jumps by the whole history would look like a burst.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import datetime

from domain.locks.table import LockTable
from domain.log.payloads import LockPayload
from domain.log.record import Recorded
from domain.task.retries import ACTOR as RETRY

LOCK_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)


class Spread:
    """A histogram with one count for each bound's bucket, not cumulated; the last counts larger values."""

    def __init__(self, bounds: tuple[float, ...] = LOCK_SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def note(self, value: float) -> None:
        """Count one value; a negative one, which differing clocks can cause, counts as zero."""
        value = max(value, 0.0)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class LogFigures:
    """Counts since `since` (RFC 3339 UTC; "" counts everything)."""

    def __init__(self, since: str = "") -> None:
        self._since = since
        self.events: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.retries = 0
        self.lock_waits = Spread()
        self.lock_holds = Spread()

    def note(self, event: Recorded, table: LockTable) -> None:
        """Count one event, before `table` folds it; an event that `table` has folded is skipped."""
        if event.seq <= table.seq or event.time < self._since:
            return
        self.events[(event.kind, event.event)] += 1
        if event.event == "dispatched" and event.actor == RETRY:
            self.retries += 1
        if event.kind != "lock":
            return
        fact: LockPayload = event.data
        task_id, attempt = fact["task_id"], fact["attempt"]
        if event.event == "granted":
            claim = table.claim(event.subject_id, task_id, attempt)
            if claim is not None:
                self.lock_waits.note(_seconds(claim.since, event.time))
        elif event.event == "released":
            grant = table.grant(task_id, attempt)
            if grant is not None:
                self.lock_holds.note(_seconds(grant.since, event.time))


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
