"""Logs each event that this process appends, at level `debug`.

The composition root adds it only at that level; at any other level appends have no logging cost.
"""

from __future__ import annotations

import orjson
import structlog

from adapters.event_store.codec import Message
from domain.context.trace import TRACEPARENT, trace_id
from domain.identifiers import LogSeq
from domain.ports.log import Appender

log = structlog.get_logger(__name__)


class LoggingAppender:
    """Port `Appender`: appends with `inner`, then writes a log line."""

    def __init__(self, inner: Appender[Message]) -> None:
        self._inner = inner

    async def append(self, message: Message) -> LogSeq:
        """See the port."""
        seq = await self._inner.append(message)
        _, kind, subject_id, event = message.subject.split(".")
        names = {"task": subject_id} if kind == "task" else _names(message, subject_id)
        attempt, traceparent = message.headers.get("ce-attempt"), message.headers.get(TRACEPARENT)
        log.debug(
            f"appended {kind} {event}",
            attempt=int(attempt) if attempt is not None else None,
            sequence=seq,
            trace=trace_id(traceparent) if traceparent is not None else None,
            actor=message.headers["ce-actor"],
            **names,
        )
        return seq


def _names(message: Message, workspace: str) -> dict[str, str | None]:
    return {"task": orjson.loads(message.data).get("task_id"), "workspace": workspace}
