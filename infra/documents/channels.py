"""The table of channels: every NATS subject of Towpath and the messages on it.

Seen from the control plane: `send` is what it publishes (or lets its stream republish), `receive` what it
takes. The names of channels and messages are the keys of the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from domain import subjects
from domain.evidence.audit_record import AuditData
from domain.log.events import EVENTS, EventData, Kind
from domain.protocol import Ask, Heartbeat, Report, Submission
from domain.runners.output_range import RangeRequest
from domain.subjects import Stream
from infra.documents import headers
from infra.documents.checkpoints import CheckpointData

Payload = type[BaseModel] | Literal["bytes"]
_TASK_ID = {"description": "UUID in canonical form", "examples": ["0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"]}
_NAME = "1 to 64 of A-Z a-z 0-9 _ -"
_TIMER_OF = {
    "kind": {"description": "which deadline", "examples": ["attempt", "lock-wait", "question"]},
    "task_id": _TASK_ID,
    "attempt": {"description": "the attempt's number", "examples": ["1"]},
}


@dataclass(frozen=True)
class Channel:
    """One subject. A parameter's `location` is where a message repeats its value; tests check that."""

    name: str
    address: str
    stream: str | None
    """None: core NATS, which stores nothing."""
    action: Literal["send", "receive"]
    about: str
    payload: Payload
    headers: Mapping[str, Any]
    parameters: Mapping[str, Mapping[str, Any]]


def channels() -> list[Channel]:
    """All channels: events of the log, appends, and the other streams."""
    return [*_events(), *_appends(), *_checkpoints(), *_work(), *_beside()]


def _about(data: type[EventData]) -> str:
    own = data.__dict__.get("__doc__") or ""
    return " ".join(own.split())


def _of(kind: Kind) -> dict[str, dict[str, Any]]:
    location = {"location": "$message.header#/ce-subject"}
    if kind == "task":
        return {"task_id": {**_TASK_ID, **location}}
    return {"workspace": {"description": _NAME, "examples": ["acme-api"], **location}}


def _events() -> Iterator[Channel]:
    for (kind, event), data in EVENTS.items():
        (parameter,) = _of(kind)
        yield Channel(
            f"{kind}.{event}",
            subjects.event(kind, f"{{{parameter}}}", event),
            Stream.LOG,
            "send",
            f"A fact in the log, published once it is stored. {_about(data)}".strip(),
            data,
            headers.stored_event(kind, event, data),
            _of(kind),
        )


def _appends() -> Iterator[Channel]:
    for (kind, event), data in EVENTS.items():
        (parameter,) = _of(kind)
        yield Channel(
            f"append.{kind}.{event}",
            subjects.append(kind, f"{{{parameter}}}", event),
            Stream.LOG,
            "send",
            f"The control plane asks the log to take `{kind}.{event}`; it may be refused. Only the "
            "control plane publishes here. Watch the stored subject instead.",
            data,
            headers.append(kind, event, data),
            _of(kind),
        )


def _work() -> Iterator[Channel]:
    yield Channel(
        "submit",
        subjects.submit("{pool}"),
        Stream.SUBMIT,
        "send",
        "An attempt on its way to a runner. Runners of a pool share the durable pull consumer "
        "`pool-<pool>` of this work queue and acknowledge what they have safely.",
        Submission,
        headers.of(headers.SUBMISSION, "Nats-Msg-Id"),
        {"pool": {"description": _NAME, "examples": ["default"]}},
    )
    yield Channel(
        "report",
        subjects.report("{task_id}"),
        Stream.REPORT,
        "receive",
        "What a runner says happened. The acknowledgement of the publish means that it is kept, also while "
        "the control plane is away; its effect is seen in the task's events.",
        Report,
        headers.of(headers.REPORT),
        {"task_id": _TASK_ID},
    )
    yield Channel(
        "ask",
        subjects.report("{task_id}"),
        Stream.REPORT,
        "receive",
        "What the job of a running attempt asks a person, on the subject of reports. The answer is the "
        "task's event `answered`.",
        Ask,
        headers.of(headers.REPORT),
        {"task_id": _TASK_ID},
    )
    yield Channel(
        "runner",
        subjects.runner("{runner_id}"),
        Stream.RUNNER,
        "receive",
        "What a runner is and holds, every few seconds. The stream keeps the last one of each runner.",
        Heartbeat,
        headers.of(headers.HEARTBEAT),
        {"runner_id": {"description": _NAME, "location": "$message.payload#/runner_id"}},
    )
    yield Channel(
        "heartbeat",
        subjects.heartbeat("{runner_id}"),
        Stream.RUNNER,
        "send",
        "A heartbeat as the stream republishes it, once it is stored. Other accounts see these, as "
        "`towpath.runner.{runner_id}`.",
        "bytes",
        headers.of(headers.STORED_HEARTBEAT),
        {"runner_id": {"description": _NAME}},
    )


def _checkpoints() -> Iterator[Channel]:
    number = {"number": {"description": "1, 2, …", "location": "$message.payload#/number"}}
    yield Channel(
        "checkpoint",
        subjects.checkpoint("{number}"),
        Stream.CHECKPOINT,
        "send",
        "A signed checkpoint of the log, published once it is stored. docs/verify.md says what is signed.",
        CheckpointData,
        headers.CHECKPOINT,
        number,
    )
    yield Channel(
        "append.checkpoint",
        subjects.append_checkpoint("{number}"),
        Stream.CHECKPOINT,
        "send",
        "The checkpoint signer asks its stream to take a checkpoint; it may be refused. "
        "Only signers publish here.",
        CheckpointData,
        headers.CHECKPOINT_APPEND,
        number,
    )


def _beside() -> Iterator[Channel]:
    yield Channel(
        "output",
        subjects.output("{runner_id}"),
        None,
        "send",
        "Asks a runner for a range of an attempt's output, in a core NATS request. It replies with the bytes "
        "and with headers: docs/output.md.",
        RangeRequest,
        headers.of({}),
        {"runner_id": {"description": _NAME}},
    )
    yield Channel(
        "dead",
        subjects.dead("{kind}", "{id}"),
        Stream.DEAD,
        "send",
        "What could not be applied, as it came, and why; kept for 14 days. Runners put submissions "
        f"that they cannot read on `{subjects.RUNNERS_LETTERS}`, with the pool's subject as "
        "`towpath-source`.",
        "bytes",
        headers.of(headers.DEAD, "towpath-reason"),
        {
            "kind": {"description": "what it was", "examples": ["report", "submit", "dispatch", "heartbeat"]},
            "id": {"description": "the task, pool or runner it is about, percent-encoded"},
        },
    )
    yield Channel(
        "audit",
        subjects.audit("{kind}"),
        Stream.AUDIT,
        "send",
        "An audit record: a verification of the log, or what became of a dead letter, with who and when. The "
        "newest 1000 of each kind are kept.",
        AuditData,
        headers.of(headers.AUDIT, "Nats-Msg-Id"),
        {"kind": {"description": "what it is about", "examples": ["verification", "dead-letter"]}},
    )
    yield Channel(
        "timer.at",
        subjects.timer_at("{kind}", "{task_id}", "{attempt}"),
        Stream.TIMER,
        "send",
        "Arms a deadline of an attempt: a message that NATS schedules. Arming it again replaces it. The "
        "body is a note for its handler, often empty.",
        "bytes",
        headers.of(headers.TIMER_AT, "Nats-Schedule", "Nats-Schedule-Target"),
        _TIMER_OF,
    )
    yield Channel(
        "timer.due",
        subjects.timer_due("{kind}", "{task_id}", "{attempt}"),
        Stream.TIMER,
        "receive",
        "A deadline has come. Published by NATS itself, with the note.",
        "bytes",
        headers.of(headers.TIMER_DUE),
        _TIMER_OF,
    )
