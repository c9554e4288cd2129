"""Trace spans around appends, dispatched events and submissions.

Each class wraps another adapter of the same port, and is used only if tracing is on, so that tracing costs
nothing when it is off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from adapters.event_store.codec import Message
from domain.context.trace import TRACEPARENT, under_traceparent
from domain.context.tracer import ATTEMPT, SEQUENCE, TASK_ID, Attributes, Tracer, about_attempt, spanning
from domain.identifiers import LogSeq, TaskId
from domain.log.record import Recorded
from domain.ports.dispatch import RunnerClient, SubmitOutcome
from domain.ports.log import Appender
from domain.ports.queues import EventQueue
from domain.protocol import Submission

_NATS = {"messaging.system": "nats"}


class TracedAppender:
    """Port `Appender`: stores each event with its append's span as the parent of later spans."""

    def __init__(self, inner: Appender[Message], tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    async def append(self, message: Message) -> LogSeq:
        """See the port. `traceparent` is not part of the chain, so it may be changed here."""
        _, kind, subject_id, event = message.subject.split(".")
        about: dict[str, str | int] = {**_NATS, "messaging.destination.name": message.append_subject}
        if kind == "task":
            about[TASK_ID] = subject_id
        else:
            about["towpath.workspace"] = subject_id
        if kind == "lock":
            about[TASK_ID] = orjson.loads(message.data)["task_id"]
        if "ce-attempt" in message.headers:
            about[ATTEMPT] = int(message.headers["ce-attempt"])
        with (
            under_traceparent(message.headers.get(TRACEPARENT)),
            spanning(self._tracer, f"append {kind} {event}", "producer", about) as span,
        ):
            assert span is not None
            message.headers[TRACEPARENT] = span.traceparent
            seq = await self._inner.append(message)
            span.set({SEQUENCE: seq})
            return seq


class TracedEventQueue:
    """Port `EventQueue`: handles each event in a child span of the append that stored it."""

    def __init__(self, inner: EventQueue, tracer: Tracer, name: str) -> None:
        self._inner = inner
        self._tracer = tracer
        self._name = name

    async def consume(self, handle: Callable[[Recorded], Awaitable[None]]) -> None:
        """See the port."""

        async def traced(event: Recorded) -> None:
            about: dict[str, str | int] = {**_NATS, SEQUENCE: event.seq}
            if event.task_id is not None:
                about[TASK_ID] = event.task_id
            if event.attempt is not None:
                about[ATTEMPT] = event.attempt
            with spanning(self._tracer, f"{self._name} {event.kind} {event.event}", "consumer", about):
                await handle(event)

        await self._inner.consume(traced)


class TracedRunnerClient:
    """Port `RunnerClient`: a span for each submission and each cancel."""

    def __init__(self, inner: RunnerClient, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
        """See the port."""
        about = _attempt(submission.task_id, submission.attempt, pool)
        with spanning(self._tracer, f"submit to {pool}", "producer", about):
            return await self._inner.submit(submission, pool)

    async def cancel(self, task_id: TaskId, attempt: int, pool: str) -> None:
        """See the port."""
        with spanning(self._tracer, f"cancel in {pool}", "producer", _attempt(task_id, attempt, pool)):
            await self._inner.cancel(task_id, attempt, pool)


def _attempt(task_id: TaskId, attempt: int, pool: str) -> Attributes:
    return {**about_attempt(task_id, attempt), "towpath.pool": pool}
