"""Event filter: the kind, subject and name of the events that a reader wants."""

from __future__ import annotations

from dataclasses import dataclass

from domain.log.events import Kind


@dataclass(frozen=True, slots=True)
class EventFilter:
    """None matches any value. `subject_id`: the task for kind `task`, the workspace for the other kinds."""

    kind: Kind | None = None
    subject_id: str | None = None
    event: str | None = None


ALL_EVENTS = EventFilter()
