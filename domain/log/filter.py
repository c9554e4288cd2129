"""Event filter: the kind, subject and name of the events that a reader wants."""

from __future__ import annotations

from dataclasses import dataclass

from domain.log.events import Kind


@dataclass(frozen=True, slots=True)
class EventFilter:
    """None leaves a field open. `subject_id`: the task of kind `task`, the workspace of the other kinds."""

    kind: Kind | None = None
    subject_id: str | None = None
    event: str | None = None


ALL_EVENTS = EventFilter()
