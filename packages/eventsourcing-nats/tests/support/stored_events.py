"""Events as applications store them."""

from __future__ import annotations

from eventsourcing.persistence import StoredEvent


def events(count: int, first: int = 1, originator: str = "a") -> list[StoredEvent]:
    return [StoredEvent(originator, first + i, "t:E", b"state") for i in range(count)]
