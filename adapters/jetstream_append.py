"""The one function that appends to the log, with compare-and-set and every unknown outcome resolved.

What an append expects is always the same filter string per task or workspace: another string, or an
append without one, breaks the check on replicated streams. After a conflict, a timeout or a lost
acknowledgement the leader is asked which event follows the expected sequence: our own id means done,
none means send the same bytes again, another means a conflict.
"""

from __future__ import annotations

import asyncio
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.codec import Message
from adapters.jetstream_api import REQUEST_TIMEOUT_SECONDS, JetStreamApi, LogUnreachable
from domain.errors import LogFull
from domain.ports import AppendConflict

SETTLE_SECONDS = 12.0
RETRY_SECONDS = 0.05
_FULL_CODES = frozenset({10047, 10077, 10023})
_REFUSED_CODES = frozenset({10054})


class AppendRejected(RuntimeError):
    """JetStream refuses this message whatever the log holds: a defect, never a race."""


class SingleAppender:
    """Appends one message at a time; any number may be in flight."""

    def __init__(self, connection: Client, api: JetStreamApi) -> None:
        self._nc = connection
        self._api = api

    async def append(self, message: Message) -> int:
        """Append `message`; return its stream sequence.

        Raises:
            AppendConflict: another event follows the expected sequence.
            LogFull: the stream has no room.
            LogUnreachable: the outcome stayed unknown for SETTLE_SECONDS; it stands in the log at most once.
        """
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while True:
            seq = await self._publish(message)
            if seq is None:
                seq = await self._read_back(message)
            if seq is not None:
                return seq
            if asyncio.get_running_loop().time() > deadline:
                raise LogUnreachable("the log did not acknowledge an event")
            await asyncio.sleep(RETRY_SECONDS)

    async def _publish(self, message: Message) -> int | None:
        """The sequence of a plain acknowledgement; None if the outcome must be read back."""
        try:
            answer = await self._nc.request(
                message.append_subject,
                message.data,
                timeout=REQUEST_TIMEOUT_SECONDS,
                headers=message.publish_headers,
            )
        except (nats.errors.Error, TimeoutError):
            return None
        acknowledged: dict[str, Any] = orjson.loads(answer.data)
        error = acknowledged.get("error")
        if error is None:
            return None if acknowledged.get("duplicate") else int(acknowledged["seq"])
        check_error(error)
        return None

    async def _read_back(self, message: Message) -> int | None:
        """The sequence at which `message` stands, or None if nothing follows what it expects."""
        try:
            follower = await self._api.next(message.filter, message.expected_seq + 1)
        except LogUnreachable:
            return None
        if follower is None:
            return None
        if follower.headers.get("ce-id") == message.id:
            return follower.seq
        raise AppendConflict(f"{message.filter} has moved on from {message.expected_seq}")

    async def settle(self, message: Message) -> int:
        """Find out what became of a message that was sent; send it again where it was not stored."""
        seq = await self._read_back(message)
        return seq if seq is not None else await self.append(message)


def check_error(error: dict[str, Any]) -> None:
    """Raise where the server's refusal is final; return where the outcome must be read back."""
    code = error.get("err_code")
    if code in _FULL_CODES:
        raise LogFull(
            "log-full",
            "the log has no room for new events; free disk space or raise its limit, then send it again",
        )
    if code in _REFUSED_CODES:
        raise AppendRejected(f"JetStream refused an append: {error}")
