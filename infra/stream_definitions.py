"""The JetStream streams Towpath needs: their names, subjects and settings, and which settings are guarded.

Plain API JSON on purpose: the server's own names for settings are what operators see, and every setting of
every server version can be said and checked.
"""

from __future__ import annotations

from adapters.stream_settings import IDENTITY, LOSES_MESSAGES, REWRITES_HISTORY, StreamDefinition

LOG = "TOWPATH"
SUBMIT = "TOWPATH_SUBMIT"
REPORT = "TOWPATH_REPORT"
DEAD = "TOWPATH_DEAD"
TIMER = "TOWPATH_TIMER"
RUNNER = "TOWPATH_RUNNER"

_SECOND = 1_000_000_000
_GIB = 1 << 30
_STORED = "towpath.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"


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
            IDENTITY | LOSES_MESSAGES | REWRITES_HISTORY,
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
