"""Timers as scheduled messages on TOWPATH_TIMER: durable, without polling.

The subject of a schedule names its deadline, so arming it again replaces it. A schedule for a past time
fires at once.
"""

from __future__ import annotations

from datetime import datetime

from nats.aio.client import Client

from adapters.nats.publish import publish
from domain.context.trace import with_traceparent
from domain.ports.queues import Deadline
from domain.protocol import rfc3339


class JetStreamTimers:
    """Port `Timers`."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection

    async def arm(self, deadline: Deadline, at: datetime, note: bytes = b"") -> None:
        """See the port."""
        name = f"{deadline.kind}.{deadline.task_id}.{deadline.attempt}"
        headers = {
            "Nats-Schedule": f"@at {rfc3339(at)}",
            "Nats-Schedule-Target": f"towpath.timer.due.{name}",
        }
        await publish(self._nc, "TOWPATH_TIMER", f"towpath.timer.at.{name}", note, with_traceparent(headers))
