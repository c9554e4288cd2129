"""Signed checkpoints on stream TOWPATH_CHECKPOINT: checkpoint n is its message n.

Any number of signers may append; the compare-and-set on the stream's last sequence accepts one. Reads are
paged, and the NATS role `guest` may make them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.nats.jetstream_api import (
    REQUEST_SECONDS,
    JetStreamApi,
    LogUnreachable,
    RawMessage,
    StreamMissing,
)
from domain import subjects
from domain.evidence.checkpoint import CheckpointInvalid, LogCheckpoint
from domain.subjects import Stream

TYPE = "towpath.checkpoint.v1"
PAGE = 50
_WRONG_LAST_SEQUENCE = frozenset({10071, 10164})


class JetStreamLogCheckpoints:
    """Port `LogCheckpoints`."""

    def __init__(self, connection: Client) -> None:
        self._api = JetStreamApi(connection, Stream.CHECKPOINT)

    async def ever(self) -> int:
        """See the port."""
        try:
            return int((await self._api.info())["state"]["last_seq"])
        except StreamMissing as error:
            raise CheckpointInvalid(f"there is no stream {Stream.CHECKPOINT}") from error

    async def last(self) -> LogCheckpoint | None:
        """See the port."""
        found = await self._api.last(subjects.checkpoint())
        return parsed(found) if found else None

    async def read(self, after: int = 0) -> AsyncIterator[LogCheckpoint]:
        """See the port."""
        last = await self._api.last(subjects.checkpoint())
        while last is not None and after < last.seq:
            page = await self._api.batch(subjects.checkpoint(), after + 1, PAGE)
            if not page:
                raise LogUnreachable("a replica of the checkpoints lags behind")
            for message in page:
                after += 1
                if message.seq != after:
                    raise CheckpointInvalid(f"checkpoint {after} is missing")
                yield parsed(message)

    async def append(self, checkpoint: LogCheckpoint) -> bool:
        """See the port."""
        number = checkpoint.number
        headers = {
            "ce-datacontenttype": "application/json",
            "ce-id": checkpoint.digest,
            "ce-source": "/towpath",
            "ce-specversion": "1.0",
            "ce-subject": str(number),
            "ce-time": checkpoint.time,
            "ce-type": TYPE,
            "Nats-Msg-Id": checkpoint.digest,
            "Nats-Expected-Last-Sequence": str(number - 1),
        }
        subject = subjects.append_checkpoint(number)
        try:
            answer = await self._api.replies.ask(subject, checkpoint.encoded(), REQUEST_SECONDS, headers)
        except nats.errors.Error as error:
            raise LogUnreachable("a checkpoint was not acknowledged") from error
        told = orjson.loads(answer.data)
        refusal = told.get("error")
        if refusal and refusal.get("err_code") not in _WRONG_LAST_SEQUENCE:
            raise LogUnreachable(f"a checkpoint was refused: {refusal.get('description')}")
        # a duplicate of a checkpoint at another sequence was not stored at this one
        return not refusal and int(told["seq"]) == number


def parsed(message: RawMessage) -> LogCheckpoint:
    """The checkpoint in a stored message.

    Raises:
        CheckpointInvalid: it holds no checkpoint, or one with another number.
    """
    there = f"message {message.seq} of {Stream.CHECKPOINT}"
    try:
        checkpoint = LogCheckpoint.of(orjson.loads(message.data))
    except ValueError as error:
        raise CheckpointInvalid(f"{there} is no checkpoint: {error}") from error
    if checkpoint.number != message.seq or message.subject != subjects.checkpoint(message.seq):
        raise CheckpointInvalid(f"{there} on {message.subject} is checkpoint {checkpoint.number}")
    return checkpoint
