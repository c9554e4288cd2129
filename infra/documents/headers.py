"""JSON Schemas of the headers of each NATS message.

Header values are text, so numbers are patterns of digits. Schemas are open: NATS itself and newer versions
may add headers. All headers that Towpath writes are listed.
"""

from __future__ import annotations

from typing import Any

from adapters.event_store.codec import EXPECTED_FILTER, EXPECTED_SEQ, MSG_ID, SOURCE
from adapters.runners.heartbeats import HTTP, TRANSPORT
from domain.identifiers import EVENT_ID_PATTERN, NAME_PATTERN, TASK_ID_PATTERN
from domain.log.events import EventData, Kind, type_name
from domain.protocol import RUNNER_AUTH_HEADER

Schema = dict[str, Any]
_COUNT = r"^[1-9][0-9]*$"
_NUMBER = r"^[0-9]+$"
_UTC = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"

_TRACE = {
    "traceparent": {
        "type": "string",
        "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "W3C Trace Context, where the request that caused it had one",
    },
    "tracestate": {"type": "string", "description": "W3C Trace Context"},
}
_REPUBLISHED = {
    "Nats-Stream": {"type": "string", "description": "added by NATS to what a stream republishes"},
    "Nats-Subject": {"type": "string", "description": "the stored subject"},
    "Nats-Sequence": {
        "type": "string",
        "pattern": _COUNT,
        "description": "the sequence in its stream; on a subscription, a message without it is no fact",
    },
    "Nats-Last-Sequence": {
        "type": "string",
        "pattern": _NUMBER,
        "description": "the sequence before it on the same subject, or 0",
    },
    "Nats-Time-Stamp": {"type": "string", "description": "when the server stored it"},
}
_EXPECTATION = {
    EXPECTED_SEQ: {
        "type": "string",
        "pattern": _NUMBER,
        "description": "the append stands only if this is the last sequence of the filter below",
    },
    EXPECTED_FILTER: {
        "type": "string",
        "pattern": r"^towpath\.(task|lock|workspace)\.[A-Za-z0-9_-]+\.\*$",
        "description": "always exactly this filter for one task or workspace: another does not exclude it",
    },
}
_BATCH = {
    "Nats-Batch-Id": {"type": "string", "description": "of an atomic batch, at most 64 characters"},
    "Nats-Batch-Sequence": {"type": "string", "pattern": _COUNT, "description": "place within the batch"},
    "Nats-Batch-Commit": {"const": "1", "description": "on the last message of a batch"},
}


def stored_event(kind: Kind, event: str, data: type[EventData]) -> Schema:
    """Headers of an event in the log, and of its republished copy."""
    properties, required = _event(kind, event, data)
    return _object({**properties, **_EXPECTATION, **_BATCH, **_REPUBLISHED}, required)


def append(kind: Kind, event: str, data: type[EventData]) -> Schema:
    """Headers of the publish that appends an event."""
    properties, required = _event(kind, event, data)
    return _object({**properties, **_EXPECTATION, **_BATCH}, [*required, *_EXPECTATION])


def _event(kind: Kind, event: str, data: type[EventData]) -> tuple[Schema, list[str]]:
    subject = TASK_ID_PATTERN if kind == "task" else NAME_PATTERN
    properties: Schema = {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {
            "type": "string",
            "pattern": EVENT_ID_PATTERN,
            "description": "UUIDv7; a retry has the same",
        },
        "ce-type": {"const": type_name(kind, event)},
        "ce-source": {"const": SOURCE},
        "ce-subject": {"type": "string", "pattern": subject, "description": "the id within the subject"},
        "ce-time": {"type": "string", "pattern": _UTC, "description": "RFC 3339 in UTC, microseconds"},
        "ce-datacontenttype": {"const": "application/json"},
        "ce-entityversion": {
            "type": "string",
            "pattern": _COUNT,
            "description": "1, 2, … without a gap within a task, a workspace's lock facts, its registrations",
        },
        "ce-actor": {"type": "string", "minLength": 1, "description": "who caused it, percent-encoded"},
        "ce-chain": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "SHA-256 over the predecessor's chain, the stored subject, all other ce- headers "
            "in order of their names, and the data",
        },
        MSG_ID: {"type": "string", "pattern": EVENT_ID_PATTERN, "description": "the same as ce-id"},
    }
    required = list(properties)
    attempt = data.model_fields.get("attempt")
    if attempt is not None:
        properties["ce-attempt"] = {
            "type": "string",
            "pattern": _COUNT,
            "description": "`attempt` of the data",
        }
        if attempt.annotation is int:
            required.append("ce-attempt")
    return {**properties, **_TRACE}, required


_STREAM = {
    "Nats-Expected-Stream": {"type": "string", "description": "the publish stands only in this stream"}
}
_ACROSS_ACCOUNTS = {
    "Nats-Request-Info": {
        "type": "string",
        "description": "added by NATS to what another of its accounts publishes, as JSON",
    }
}

SUBMISSION: Schema = {
    MSG_ID: {
        "type": "string",
        "description": "SHA-256 of the body, which holds the attempt's token: an attempt is queued once",
    },
    "Nats-TTL": {
        "type": "string",
        "pattern": "^[1-9][0-9]*s$",
        "description": "gone after this time, since it may hold secrets; longer than the attempt's deadline",
    },
    **_TRACE,
    **_STREAM,
}
REPORT: Schema = {
    MSG_ID: {
        "type": "string",
        "description": "optional: 128 random bits for each report, kept with it and sent with each try; one "
        "that others can guess lets them swallow the report",
    },
    RUNNER_AUTH_HEADER: {
        "type": "string",
        "description": "the submission's `status_callback_token`, or API_RUNNER_CALLBACK_TOKEN",
    },
    **_TRACE,
    **_STREAM,
    **_ACROSS_ACCOUNTS,
}
HEARTBEAT: Schema = {
    MSG_ID: {"type": "string"},
    EXPECTED_SEQ: {
        "type": "string",
        "pattern": _NUMBER,
        "description": "what the control plane sends for a runner that posts its heartbeats: no late retry "
        "replaces a newer one",
    },
    "Nats-TTL": {
        "type": "string",
        "pattern": "^[1-9][0-9]*s$",
        "description": "with the goodbye of a runner that posts its heartbeats: nothing of it stays",
    },
    TRANSPORT: {
        "type": "string",
        "const": HTTP,
        "description": "of a runner that posts its heartbeats; only such a one may post a goodbye",
    },
    **_STREAM,
    **_ACROSS_ACCOUNTS,
}
STORED_HEARTBEAT: Schema = {**HEARTBEAT, **_REPUBLISHED}
DEAD: Schema = {
    MSG_ID: {"type": "string"},
    **_STREAM,
    **_ACROSS_ACCOUNTS,
    "towpath-reason": {"type": "string", "description": "a stable code, or why it is no submission"},
    "towpath-detail": {"type": "string", "description": "a sentence, percent-encoded"},
}
AUDIT: Schema = {MSG_ID: {"type": "string", "description": "128 random bits"}, **_STREAM}
TIMER_AT: Schema = {
    "Nats-Schedule": {"type": "string", "pattern": r"^@at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
    "Nats-Schedule-Target": {"type": "string", "pattern": r"^towpath\.timer\.due\."},
    **_TRACE,
    **_STREAM,
}
TIMER_DUE: Schema = {
    "Nats-Scheduler": {"type": "string", "description": "the subject of the schedule"},
    "Nats-Schedule-Next": {"type": "string", "description": "`purge`: it fires once"},
    **_TRACE,
}
_CHECKPOINT: Schema = {
    "ce-specversion": {"const": "1.0"},
    "ce-id": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the data"},
    "ce-type": {"const": "towpath.checkpoint.v1"},
    "ce-source": {"const": SOURCE},
    "ce-subject": {"type": "string", "pattern": _COUNT, "description": "the checkpoint's number"},
    "ce-time": {"type": "string", "pattern": _UTC},
    "ce-datacontenttype": {"const": "application/json"},
    MSG_ID: {"type": "string", "description": "the same as ce-id"},
    "Nats-Expected-Last-Sequence": {"type": "string", "pattern": _NUMBER},
}
CHECKPOINT: Schema = {
    "type": "object",
    "properties": {**_CHECKPOINT, **_REPUBLISHED},
    "required": list(_CHECKPOINT),
}
CHECKPOINT_APPEND: Schema = {"type": "object", "properties": _CHECKPOINT, "required": list(_CHECKPOINT)}


def of(properties: Schema, *required: str) -> Schema:
    """An object schema of `properties`."""
    return _object(properties, list(required))


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}
