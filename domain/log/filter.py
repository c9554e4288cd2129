"""Which events a reader of the log wants; what stores the log turns it into its own terms."""

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
