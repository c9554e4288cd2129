"""The attempts of a task, each folded from its events: what happened to it, when, and at which sequence."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, Field

from domain.identifiers import FencingToken, RunnerId
from domain.log.payloads import BoundPayload, DispatchedPayload, EndedPayload, RunningPayload, ToldPayload
from domain.log.record import EventAt, Recorded, event_at
from domain.task.transitions import TERMINAL, Status

_STATUSES = {status.value for status in Status}
_STEPS: dict[str, str] = {
    "granted": "granted",
    "refused": "refused",
    "queued": "queued",
    "running": "started",
    "cancel-requested": "cancel_requested",
    "released": "released",
    **dict.fromkeys(TERMINAL, "ended"),
}


class AttemptRead(BaseModel):
    """One attempt of a task. Steps that have not happened are null.

    From `claimed` on, an attempt with a workspace waits for its lock, until it is `granted` or `refused`.
    """

    attempt: int
    status: Status
    by: str = Field(description="the actor that began it")
    pool: str
    runner_id: RunnerId | None = None
    claimed: EventAt = Field(description="its dispatch")
    granted: EventAt | None = None
    refused: EventAt | None = None
    queued: EventAt | None = None
    started: EventAt | None = None
    cancel_requested: EventAt | None = None
    ended: EventAt | None = None
    released: EventAt | None = None
    token: FencingToken | None = Field(default=None, description="the fencing token of its grant")
    started_at: datetime | None = Field(default=None, description="as its runner reported it")
    finished_at: datetime | None = Field(default=None, description="as its runner reported it")
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None


def attempts(events: Iterable[Recorded]) -> list[AttemptRead]:
    """The attempts whose `dispatched` is among `events`: a task's events and lock facts, in order."""
    found: dict[int, AttemptRead] = {}
    for event in events:
        if event.event == "dispatched":
            begun = _begun(event)
            found[begun.attempt] = begun
        elif event.attempt in found:
            _note(found[event.attempt], event)
    return list(found.values())


def _begun(event: Recorded) -> AttemptRead:
    data: DispatchedPayload = event.data
    return AttemptRead(
        attempt=data["attempt"],
        status=Status.DISPATCHED,
        by=event.actor,
        pool=data["pool"],
        claimed=event_at(event),
    )


def _note(read: AttemptRead, event: Recorded) -> None:
    name = event.event
    if (step := _STEPS.get(name)) is not None:
        setattr(read, step, event_at(event))
    if name in _STATUSES:
        read.status = Status(name)
    if name in TERMINAL:
        _end(read, event)
    elif name == "granted":
        read.token = FencingToken(event.seq)
    elif name in ("queued", "running"):
        bound: BoundPayload = event.data
        read.runner_id = bound["runner_id"] or read.runner_id
        if name == "running":
            running: RunningPayload = event.data
            read.started_at = datetime.fromisoformat(running["started_at"])


def _end(read: AttemptRead, event: Recorded) -> None:
    told: ToldPayload = event.data
    read.exit_code, read.reason, read.message = told.get("exit_code"), told.get("reason"), told.get("message")
    if event.event == Status.SUBMIT_FAILED.value:
        return
    ended: EndedPayload = event.data
    read.runner_id = ended["runner_id"] or read.runner_id
    read.finished_at = datetime.fromisoformat(ended["finished_at"])
