"""The JetStream streams Towpath needs, and `ensure_streams`, which makes them so.

What is missing is created, what is harmless is updated, what is unsafe stops the start: a log that can
forget is no log, and silently repairing a setting would hide that it has already forgotten. Plain API
JSON on purpose: the server's own names for settings are what operators see, and every setting of every
server version can be checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nats.aio.client import Client

LOG = "TOWPATH"
SUBMIT = "TOWPATH_SUBMIT"
REPORT = "TOWPATH_REPORT"
DEAD = "TOWPATH_DEAD"
TIMER = "TOWPATH_TIMER"
RUNNER = "TOWPATH_RUNNER"

API_TIMEOUT_SECONDS = 10.0
_SECOND = 1_000_000_000
_GIB = 1 << 30
_NOT_FOUND, _NAME_IN_USE, _SUBJECTS_OVERLAP = 10059, 10058, 10065
_STORED = "towpath.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"

_IDENTITY = frozenset(
    {"subjects", "retention", "storage", "mirror", "sources", "sealed", "subject_transform", "no_ack"}
)
_LOSES_MESSAGES = frozenset(
    {"discard", "discard_new_per_subject", "max_age", "max_msgs", "max_msgs_per_subject", "persist_mode"}
)
_REWRITES_HISTORY = frozenset(
    {
        "deny_delete",
        "deny_purge",
        "allow_rollup_hdrs",
        "allow_msg_ttl",
        "allow_msg_schedules",
        "allow_msg_counter",
        "subject_delete_marker_ttl",
        "republish",
    }
)


class StreamError(Exception):
    """A stream is not as Towpath needs it."""


class UnsafeStream(StreamError):
    """A stream exists with a setting under which Towpath's promises do not hold."""

    def __init__(self, stream: str, setting: str, found: object, wanted: object) -> None:
        self.stream, self.setting, self.found, self.wanted = stream, setting, found, wanted
        super().__init__(
            f"stream {stream}: {setting} is {json.dumps(found)}, must be {json.dumps(wanted)}. "
            + _remedy(stream, setting)
        )


def _remedy(stream: str, setting: str) -> str:
    if setting in _IDENTITY:
        return (
            "It looks like another program's stream: give Towpath a NATS account of its own, or "
            f"back up and remove {stream}."
        )
    return (
        "Events may have been lost already: stop what changed it, check with `towpath verify`, then set it "
        f"back with `nats stream edit {stream}`; where the server refuses that, back the stream up and "
        "restore it under the right settings."
    )


@dataclass(frozen=True)
class StreamDefinition:
    """One stream: `settings` in the server's JSON names, durations in nanoseconds.

    `guarded` names the settings that must already be right in an existing stream (absent means off);
    all others are brought to `settings` by an update.
    """

    name: str
    settings: Mapping[str, Any]
    guarded: frozenset[str] = field(default=_IDENTITY | _LOSES_MESSAGES)

    def config(self) -> dict[str, Any]:
        """The whole configuration for a create request."""
        return {"name": self.name, "storage": "file", **self.settings}


def stream_definitions(replicas: int = 1, max_bytes: int = -1) -> tuple[StreamDefinition, ...]:
    """All streams. `max_bytes` bounds the log (-1: the disk does); a full log refuses, it never drops."""
    work_queue = {"retention": "workqueue", "discard": "new", "num_replicas": replicas}
    kept = {"retention": "limits", "num_replicas": replicas}
    return (
        StreamDefinition(
            LOG,
            {
                **kept,
                "description": "The log: every task, lock and workspace event, for ever",
                "subjects": ["towpath.append.*.*.*"],
                "subject_transform": {"src": "towpath.append.*.*.*", "dest": _STORED},
                "republish": {"src": "towpath.*.*.*", "dest": _STORED},
                "discard": "new",
                "max_bytes": max_bytes,
                "duplicate_window": 120 * _SECOND,
                "deny_delete": True,
                "deny_purge": True,
                "allow_direct": True,
                "allow_atomic": True,
            },
            _IDENTITY | _LOSES_MESSAGES | _REWRITES_HISTORY,
        ),
        StreamDefinition(
            SUBMIT,
            {
                **work_queue,
                "description": "Attempts on their way to a runner",
                "subjects": ["towpath.submit.*"],
            },
        ),
        StreamDefinition(
            REPORT,
            {
                **work_queue,
                "description": "Runner reports on their way to the log",
                "subjects": ["towpath.report.*"],
                "max_bytes": _GIB,
                "max_msg_size": 128 * 1024,
            },
        ),
        StreamDefinition(
            DEAD,
            {
                **kept,
                "description": "What could not be applied, and why",
                "subjects": ["towpath.dead.>"],
                "max_age": 14 * 86_400 * _SECOND,
                "max_bytes": _GIB,
                "discard": "old",
                "allow_direct": True,
            },
            _IDENTITY,
        ),
        StreamDefinition(
            TIMER,
            {
                **work_queue,
                "description": "Deadlines: schedules on towpath.timer.at, due ones on towpath.timer.due",
                "subjects": ["towpath.timer.>"],
                "discard": "old",  # scheduling refuses "new"; nothing is discarded, as there is no limit
                "allow_msg_schedules": True,
            },
        ),
        StreamDefinition(
            RUNNER,
            {
                **kept,
                "description": "The last heartbeat of each runner",
                "subjects": ["towpath.runner.*"],
                "max_msgs_per_subject": 1,
                "discard": "old",
                "allow_direct": True,
            },
            _IDENTITY | {"max_msgs_per_subject"},
        ),
    )


async def ensure_streams(nc: Client, replicas: int = 1, max_bytes: int = -1) -> None:
    """Create, leave or update all streams; `nc` is the control plane's connection.

    Any number of processes may call this at once. An existing stream keeps more replicas than asked for.
    Raises UnsafeStream before it changes anything in that stream, StreamError when the server refuses.
    """
    for definition in stream_definitions(replicas, max_bytes):
        await _ensure(nc, definition)


async def _ensure(nc: Client, definition: StreamDefinition) -> None:
    answer = await _request(nc, "INFO", definition.name)
    if _code(answer) == _NOT_FOUND:
        answer = await _request(nc, "CREATE", definition.name, definition.config())
        if _code(answer) == _NAME_IN_USE:  # another process was faster, with other harmless settings
            answer = await _request(nc, "INFO", definition.name)
        elif _code(answer) == _SUBJECTS_OVERLAP:
            raise UnsafeStream(
                definition.name, "subjects", "in use by another stream", list(definition.settings["subjects"])
            )
    existing = _checked(answer, definition.name)["config"]
    changes = _changes(definition, existing)
    if changes:
        updated = await _request(nc, "UPDATE", definition.name, {**existing, **changes})
        _checked(updated, definition.name)


def _changes(definition: StreamDefinition, existing: Mapping[str, Any]) -> dict[str, Any]:
    """What an update would have to set; raises UnsafeStream for a guarded setting that differs."""
    wanted = definition.config()
    for setting in sorted(definition.guarded):
        if _plain(existing.get(setting)) != _plain(wanted.get(setting)):
            raise UnsafeStream(definition.name, setting, existing.get(setting), wanted.get(setting))
    changes = {
        setting: value
        for setting, value in wanted.items()
        if setting not in definition.guarded and _plain(existing.get(setting)) != _plain(value)
    }
    if changes.get("num_replicas", 0) < existing.get("num_replicas", 1):
        changes.pop("num_replicas", None)
    return changes


def _plain(value: Any) -> Any:
    """The server writes "off" in several ways: absent, 0, -1, false, empty, or the name of the default."""
    return None if value in (None, 0, -1, False, "", "default", [], {}) else value


async def _request(nc: Client, verb: str, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    payload = b"" if body is None else json.dumps(body).encode()
    message = await nc.request(f"$JS.API.STREAM.{verb}.{name}", payload, timeout=API_TIMEOUT_SECONDS)
    answer: dict[str, Any] = json.loads(message.data)
    return answer


def _code(answer: Mapping[str, Any]) -> int | None:
    error = answer.get("error")
    return None if error is None else int(error.get("err_code", 0))


def _checked(answer: dict[str, Any], name: str) -> dict[str, Any]:
    if "error" in answer:
        error = answer["error"]
        raise StreamError(
            f"stream {name}: the server refused: {error.get('description')} (error {error.get('err_code')}). "
            "Check its JetStream limits, its version (2.14.6 or newer) and, for replicas, the cluster's size."
        )
    return answer
