"""Reads a task's last event from the log and subscribes to new ones.

Reads go to the stream's leader (`STREAM.MSG.GET`, not direct get): a follower's data never decides on the
permission to start or the end of an attempt. The core subscription only triggers reads; it may lose messages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import nats.errors
import nats.js.errors
import orjson
from nats.aio.msg import Msg

from domain import subjects
from domain.identifiers import RunnerId, TaskId
from domain.subjects import Stream
from domain.validation.headers import header
from runner.control.start_gate import LoggedEvent
from runner.nats_link import NATS_TROUBLE, NatsLink

ANSWER_SECONDS = 2.0
ASKED_AT_ONCE = 64


@dataclass(frozen=True)
class StoredEvent:
    """One event of a task; `at` is the time in its envelope."""

    seq: int
    name: str
    attempt: int | None
    at: datetime
    data: bytes


class TaskLog:
    """The log, as far as a runner needs it."""

    def __init__(self, link: NatsLink) -> None:
        self._link = link

    async def last_event(self, task_id: TaskId) -> LoggedEvent | None:
        """The task's last event; None if the log does not contain the task. Raises NATS_TROUBLE."""
        js = await self._link.jetstream()
        try:
            message = await js.get_msg(Stream.LOG, subject=subjects.event("task", task_id))
        except nats.js.errors.NotFoundError:
            return None
        attempt = header(message.headers, "ce-attempt")
        return parse_event(message.subject or "", attempt, message.data or b"", message.seq)

    async def next_event(self, task_id: TaskId, after: int) -> StoredEvent | None:
        """The task's first event after sequence `after`; None if there is none yet.

        Raises NATS_TROUBLE; ValueError if it has no readable time.
        """
        js = await self._link.jetstream()
        subject = subjects.event("task", task_id)
        try:
            message = await js.get_msg(Stream.LOG, seq=after + 1, subject=subject, next=True)
        except nats.js.errors.NotFoundError:
            return None
        attempt, at = (header(message.headers, name) or "" for name in ("ce-attempt", "ce-time"))
        return StoredEvent(
            seq=message.seq or 0,
            name=(message.subject or "").rsplit(".", 1)[-1],
            attempt=int(attempt) if attempt.isdecimal() else None,
            at=datetime.fromisoformat(at),
            data=message.data or b"",
        )

    async def waiting_reports(self) -> tuple[int, int]:
        """The first and last sequence of reports waiting to be applied; first > last if there are none.

        Raises NATS_TROUBLE.
        """
        js = await self._link.jetstream()
        state = (await js.stream_info(Stream.REPORT)).state
        return state.first_seq, state.last_seq

    async def end(self) -> int:
        """The last sequence of the log. Raises NATS_TROUBLE."""
        js = await self._link.jetstream()
        return (await js.stream_info(Stream.LOG)).state.last_seq

    async def newest(self, task_ids: Sequence[TaskId], after: int) -> dict[str, int]:
        """By task, the sequence of its last event, if that is after `after`; a replica that answers may lag.

        A request asks for ASKED_AT_ONCE tasks, since the server answers for 1,024 subjects.
        Raises NATS_TROUBLE.
        """
        client = await self._link.client()
        inbox, found = client.new_inbox(), dict[str, int]()
        answers = await client.subscribe(inbox)
        try:
            for start in range(0, len(task_ids), ASKED_AT_ONCE):
                wanted = [subjects.event("task", one) for one in task_ids[start : start + ASKED_AT_ONCE]]
                body = orjson.dumps({"multi_last": wanted, "seq": after + 1, "batch": 1024})
                await client.publish(f"$JS.API.DIRECT.GET.{Stream.LOG}", body, reply=inbox)
                while (at := _place(await answers.next_msg(ANSWER_SECONDS))) is not None:
                    found[at[0]] = max(found.get(at[0], 0), at[1])
        finally:
            with suppress(*NATS_TROUBLE):
                await answers.unsubscribe()
        return found

    @asynccontextmanager
    async def watching(self, task_id: TaskId, wake: Callable[[], None]) -> AsyncIterator[None]:
        """Until the context ends, calls `wake` whenever an event of the task may have been stored."""

        async def heard(_: Msg) -> None:
            wake()

        client = await self._link.client()
        subscription = await client.subscribe(subjects.event("task", task_id), cb=heard)
        try:
            yield
        finally:
            with suppress(*NATS_TROUBLE):
                await subscription.unsubscribe()


def _place(message: Msg) -> tuple[str, int] | None:
    """Task and sequence of a message of a direct get; None at the end."""
    headers = message.headers
    seq, subject = header(headers, "Nats-Sequence"), header(headers, "Nats-Subject")
    if seq is not None and subject is not None:
        return subject.split(".")[2], int(seq)
    if header(headers, "Status") in ("204", "404"):
        return None
    raise nats.errors.Error("nats: the log was not read")


def parse_event(subject: str, attempt_header: str | None, data: bytes, seq: int | None = None) -> LoggedEvent:
    """Name, attempt and runner of a stored event; missing or invalid parts are None."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        body = None
    fields = body if isinstance(body, dict) else {}
    attempt = attempt_header if attempt_header is not None else fields.get("attempt")
    runner_id, instance = fields.get("runner_id"), fields.get("instance")
    return LoggedEvent(
        name=subject.rsplit(".", 1)[-1],
        attempt=int(str(attempt)) if str(attempt).isdecimal() else None,
        runner_id=RunnerId(runner_id) if isinstance(runner_id, str) else None,
        seq=seq,
        instance=instance if isinstance(instance, str) else None,
    )
