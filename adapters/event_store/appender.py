"""Appends to the log: compare-and-set, with every unknown outcome resolved by reading back.

All appends of a task or workspace must send the same filter string: another string, or an append without one,
breaks the compare-and-set on replicated streams. After a refusal, a timeout or a lost acknowledgement the
leader is asked which event follows the expected sequence. The message's own id means it is stored; no event
means that the same bytes are sent again; another event means a conflict.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.event_store.codec import Message
from adapters.nats.jetstream_api import REQUEST_SECONDS, JetStreamApi, LogUnreachable
from domain.backoff import Backoff
from domain.errors import Invalid, LogFull
from domain.identifiers import LogSeq
from domain.ports.log import AppendConflict

SETTLE_SECONDS = 12.0
RETRY = Backoff(first_seconds=0.05, longest_seconds=1.0)
# the broker counts headers towards its limit of a message
HEADER_ROOM = 16 * 1024
_FULL_CODES = frozenset({10047, 10023, 10002})  # limits of the stream, the server, the account
_STORE_FAILED = 10077
_REFUSED_CODES = frozenset({10054})


class AppendRejected(RuntimeError):
    """JetStream refuses this message in any state of the log: a defect, never a race."""


class SingleAppender:
    """Appends one message at a time; any number may be in flight."""

    def __init__(
        self,
        connection: Client,
        api: JetStreamApi,
        *,
        settle_seconds: float = SETTLE_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._nc = connection
        self._settle_seconds = settle_seconds
        self.request_seconds = request_seconds
        self._api = api
        self.replies = api.replies

    async def append(self, message: Message) -> LogSeq:
        """Append `message`; return its stream sequence.

        Raises:
            AppendConflict: another event follows the expected sequence.
            LogFull: the stream has no room.
            Invalid: the message is larger than NATS accepts.
            LogUnreachable: the outcome is unknown after `settle_seconds`; the log has it at most once.
        """
        self.check_size(message)
        deadline = asyncio.get_running_loop().time() + self._settle_seconds
        pauses = RETRY.pauses()
        while True:
            answer = await self._publish(message)
            if isinstance(answer, int):
                return answer
            with contextlib.suppress(LogUnreachable):
                seq = await self._read_back(message)
                if seq is not None:
                    return seq
                # refused for good, and no earlier try of this message is stored
                if answer is not None:
                    raise answer
            if asyncio.get_running_loop().time() > deadline:
                raise LogUnreachable("the log did not acknowledge an event")
            await asyncio.sleep(next(pauses))

    async def settle(self, message: Message) -> LogSeq:
        """Resolve the unknown outcome of a sent message; send it again if it was not stored."""
        with contextlib.suppress(LogUnreachable):
            seq = await self._read_back(message)
            if seq is not None:
                return seq
        return await self.append(message)

    def check_size(self, message: Message) -> None:
        """Refuse a message that is too large: the server would close the shared connection."""
        most = self._nc.max_payload - HEADER_ROOM
        if len(message.data) > most:
            raise Invalid("event-too-large", f"one event has at most {most} bytes in the log; send less")

    async def _publish(self, message: Message) -> LogSeq | Exception | None:
        """The sequence, if acknowledged; the error of a final refusal; or None if the outcome is unknown.

        The caller reads back even after a refusal: an earlier, unacknowledged try may be stored.
        """
        try:
            answer = await self.replies.ask(
                message.append_subject, message.data, self.request_seconds, message.publish_headers
            )
            acknowledged: dict[str, Any] = orjson.loads(answer.data)
        except (nats.errors.Error, ValueError):
            return None
        error = acknowledged.get("error")
        if error is not None:
            return refusal(error)
        # a duplicate is an earlier try of this message, whose own sequence is read back
        return None if acknowledged.get("duplicate") else LogSeq(acknowledged["seq"])

    async def _read_back(self, message: Message) -> LogSeq | None:
        """The sequence of the stored `message`, or None if no event follows its expected sequence."""
        follower = await self._api.next(message.filter, message.expected_seq + 1)
        if follower is None:
            return None
        if follower.headers.get("ce-id") == message.id:
            return LogSeq(follower.seq)
        raise AppendConflict(f"{message.filter} has moved on from {message.expected_seq}")


def refusal(error: dict[str, Any]) -> Exception | None:
    """The error to raise for a final refusal; None if a retry may succeed."""
    code, words = error.get("err_code"), str(error.get("description"))
    if code in _FULL_CODES or (code == _STORE_FAILED and ("maximum" in words or "no space" in words)):
        return LogFull(
            "log-full",
            "the log has no room for new events; free disk space or raise its limit, then send it again",
        )
    if code in _REFUSED_CODES:
        return AppendRejected(f"JetStream refused an append: {error}")
    return None
