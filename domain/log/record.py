"""A recorded event, in the form that all readers of the log use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from domain.identifiers import LogSeq, TaskId, WorkspaceId
from domain.log.events import Kind, type_name
from domain.log.payloads import NamingPayload


class EventAt(BaseModel):
    """An event of the log: its sequence, and when the control plane recorded it."""

    seq: LogSeq
    at: datetime


@dataclass(slots=True)
class Recorded:
    """A stored event. `seq` is the stream sequence, `version` counts within its task or workspace.

    `subject_id` is the `TaskId` (kind `task`) or the `WorkspaceId` (kinds `lock` and `workspace`).
    `time` is RFC 3339 UTC as stored. `data` is the parsed JSON; a reader annotates it with its type from
    `domain.log.payloads`, and `subject_id` with that of its id.
    """

    seq: LogSeq
    kind: Kind
    subject_id: Any
    event: str
    id: str
    version: int
    attempt: int | None
    time: str
    actor: str
    chain: str
    data: Any
    traceparent: str | None = None

    @property
    def task_id(self) -> TaskId | None:
        """The task of this event; None for workspace registrations."""
        if self.kind == "task":
            task_id: TaskId = self.subject_id
            return task_id
        names: NamingPayload = self.data
        return names.get("task_id")

    @property
    def workspace(self) -> WorkspaceId | None:
        """The workspace this event names, if it names one."""
        if self.kind == "task":
            names: NamingPayload = self.data
            return names.get("workspace")
        workspace: WorkspaceId = self.subject_id
        return workspace

    @property
    def at(self) -> datetime:
        """`time` parsed."""
        return datetime.fromisoformat(self.time)

    def as_json(self) -> dict[str, Any]:
        """The event as HTTP answers, SSE and the command line show it; encrypted values are masked."""
        data = self.data
        if self.kind == "task" and self.event == "created":
            encrypted = {name: data[name] for name in ("env", "secrets") if name in data}
            data = {**data, **{name: dict.fromkeys(values, "***") for name, values in encrypted.items()}}
        return {
            "seq": self.seq,
            "id": self.id,
            "type": type_name(self.kind, self.event),
            "event": self.event,
            "task_id": self.task_id,
            "workspace": self.workspace,
            "attempt": self.attempt,
            "version": self.version,
            "time": self.time,
            "actor": self.actor,
            "chain": self.chain,
            "data": data,
        }


def event_at(event: Recorded) -> EventAt:
    """The event's sequence and time."""
    return EventAt(seq=event.seq, at=event.at)
