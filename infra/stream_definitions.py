"""The JetStream streams Towpath needs: their names, subjects and settings, and which settings are guarded.

Plain API JSON on purpose: the server's own names for settings are what operators see, and every setting of
every server version can be said and checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOG = "TOWPATH"
SUBMIT = "TOWPATH_SUBMIT"
REPORT = "TOWPATH_REPORT"
DEAD = "TOWPATH_DEAD"
TIMER = "TOWPATH_TIMER"
RUNNER = "TOWPATH_RUNNER"

_SECOND = 1_000_000_000
_GIB = 1 << 30
_STORED = "towpath.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"

IDENTITY = frozenset(
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


@dataclass(frozen=True)
class StreamDefinition:
    """One stream: `settings` in the server's JSON names, durations in nanoseconds.

    `guarded` names the settings that must already be right in an existing stream (absent means off);
    all others are brought to `settings` by an update.
    """

    name: str
    settings: Mapping[str, Any]
    guarded: frozenset[str] = field(default=IDENTITY | _LOSES_MESSAGES)

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
            IDENTITY | _LOSES_MESSAGES | _REWRITES_HISTORY,
        ),
        StreamDefinition(
            SUBMIT,
            {
                **work_queue,
                "description": "Attempts on their way to a runner",
                "subjects": ["towpath.submit.*"],
                "allow_msg_ttl": True,
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
            IDENTITY,
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
            IDENTITY | {"max_msgs_per_subject"},
        ),
    )
