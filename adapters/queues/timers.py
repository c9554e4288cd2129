"""Timers as scheduled messages on TOWPATH_TIMER: durable, without polling.

The subject of a schedule names its deadline, so a second schedule replaces the first. A schedule for a past
time fires at once.
"""

from __future__ import annotations

from datetime import datetime

from nats.aio.client import Client

from adapters.nats.publish import publish
from domain import subjects
from domain.context.trace import with_traceparent
from domain.ports.queues import Deadline
from domain.protocol import rfc3339
from domain.subjects import Stream


class JetStreamTimers:
    """Port `Timers`."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection

    async def arm(self, deadline: Deadline, at: datetime, note: bytes = b"") -> None:
        """See the port."""
        name = deadline.kind, deadline.task_id, deadline.attempt
        headers = {
            "Nats-Schedule": f"@at {rfc3339(at)}",
            "Nats-Schedule-Target": subjects.timer_due(*name),
        }
        await publish(self._nc, Stream.TIMER, subjects.timer_at(*name), note, with_traceparent(headers))
