"""Definitions of the JetStream streams: names, subjects, settings, and which settings are guarded.

They are plain API JSON: operators see the server's own names, and settings of every server version can be set
and checked. All streams share one disk, so each stream but the log and the checkpoints has a limit; the space
up to it counts as used when the log's capacity is measured. The server reserves it when it makes a stream, so
the limits are small. A full stream of submissions, reports or heartbeats rejects messages, whose senders
retry. Checkpoints have no limit: they grow with the log, by less than a hundredth of it.
"""

from __future__ import annotations

from adapters.nats.stream_definition import IDENTITY, LOSES_MESSAGES, REWRITES_HISTORY, StreamDefinition
from domain import subjects
from domain.subjects import Stream, under, wildcard

TIMER_BYTES = 64 << 20
"""Budget of timers, not a limit of the stream: it cannot `discard: new`, and no timer may be lost."""

BEATS_KEPT = 4
"""Heartbeats kept per subject: enough to hold some of each of two runners that share an id."""

_SECOND = 1_000_000_000
_MIB = 1 << 20
_CHECKPOINT_STORED = subjects.checkpoint(wildcard(1))
_STORED = subjects.event(wildcard(1), wildcard(2), wildcard(3))


def stream_definitions(replicas: int = 1, max_bytes: int | None = None) -> tuple[StreamDefinition, ...]:
    """All streams. `max_bytes` limits the log; None keeps its present limit (a new log: the disk).

    A full log rejects appends; it never drops events.
    """
    limit = {} if max_bytes is None else {"max_bytes": max_bytes}
    work_queue = {"retention": "workqueue", "discard": "new", "num_replicas": replicas}
    kept = {"retention": "limits", "num_replicas": replicas}
    return (
        StreamDefinition(
            Stream.LOG,
            {
                **kept,
                "description": "The log: every task, lock and workspace event, kept without limit",
                "subjects": [subjects.append()],
                "subject_transform": {"src": subjects.append(), "dest": _STORED},
                "republish": {"src": subjects.event(), "dest": _STORED},
                "discard": "new",
                **limit,
                "duplicate_window": 120 * _SECOND,
                "deny_delete": True,
                "deny_purge": True,
                "allow_direct": True,
                "allow_atomic": True,
            },
            IDENTITY | LOSES_MESSAGES | REWRITES_HISTORY,
        ),
        StreamDefinition(
            Stream.SUBMIT,
            {
                **work_queue,
                "description": "Attempts on their way to a runner",
                "subjects": [subjects.submit()],
                "max_bytes": 128 * _MIB,
                "allow_msg_ttl": True,
            },
        ),
        StreamDefinition(
            Stream.REPORT,
            {
                **work_queue,
                "description": "Runner reports on their way to the log",
                "subjects": [subjects.report()],
                "max_bytes": 128 * _MIB,
                "max_msg_size": 128 * 1024,
            },
        ),
        StreamDefinition(
            Stream.DEAD,
            {
                **kept,
                "description": "What could not be applied, and why",
                "subjects": [under("dead")],
                "max_age": 14 * 86_400 * _SECOND,
                "max_msgs_per_subject": 20,  # the rest of the budget: adapters.queues.dead_letter_budget
                "max_bytes": 64 * _MIB,
                "max_msg_size": 128 * 1024,
                "discard": "old",
                "allow_direct": True,
            },
            IDENTITY,
        ),
        StreamDefinition(
            Stream.TIMER,
            {
                **work_queue,
                "description": "Deadlines: schedules on towpath.timer.at, due ones on towpath.timer.due",
                "subjects": [under("timer")],
                "discard": "old",  # scheduling refuses "new"; nothing is discarded: see TIMER_BYTES
                "allow_msg_schedules": True,
            },
        ),
        StreamDefinition(
            Stream.RUNNER,
            {
                **kept,
                "description": "The last heartbeats of each runner",
                "subjects": [subjects.runner()],
                "republish": {"src": subjects.runner(), "dest": subjects.heartbeat(wildcard(1))},
                "max_msgs_per_subject": BEATS_KEPT,
                "max_bytes": 16 * _MIB,
                "allow_msg_ttl": True,
                "discard": "new",  # a missing heartbeat must prove that its runner sent none
                "allow_direct": True,
            },
            IDENTITY | {"max_msgs_per_subject"},
        ),
        StreamDefinition(
            Stream.CHECKPOINT,
            {
                **kept,
                "description": "Signed checkpoints of the log",
                "subjects": [subjects.append_checkpoint()],
                "subject_transform": {"src": subjects.append_checkpoint(), "dest": _CHECKPOINT_STORED},
                "republish": {"src": subjects.checkpoint(), "dest": _CHECKPOINT_STORED},
                "discard": "new",
                "duplicate_window": 120 * _SECOND,
                "deny_delete": True,
                "deny_purge": True,
                "allow_direct": True,
            },
            IDENTITY | LOSES_MESSAGES | REWRITES_HISTORY,
        ),
        StreamDefinition(
            Stream.AUDIT,
            {
                **kept,
                "description": "Verifications of the log, and what became of dead letters",
                "subjects": [subjects.audit()],
                # So that one kind never displaces another: 1000 of each of the two, of the largest size, fit.
                "max_msgs_per_subject": 1000,
                "max_bytes": 32 * _MIB,
                "max_msg_size": 16 * 1024,
                "discard": "old",
                "duplicate_window": 120 * _SECOND,
                "deny_delete": True,
                "deny_purge": True,
                "allow_direct": True,
            },
            IDENTITY | REWRITES_HISTORY,
        ),
    )
