"""Writes messages as one atomic batch, with compare-and-set and every unknown outcome resolved.

The first message of each subject names the sequence that must be that subject's last (optimistic
concurrency), so a write stands as a whole behind what it was decided on, or not at all. After a refusal, a
timeout or a lost acknowledgement the writer asks the leader what follows: the id of this write means done,
nothing means send it again, another id means a conflict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import nats.errors
from eventsourcing.persistence import OperationalError, ProgrammingError

from eventsourcing_nats.records import WRITE, Draft
from eventsourcing_nats.request_reply import RequestReply, Unanswered, answer_of
from eventsourcing_nats.stream_reader import StreamReader

MOST_MESSAGES = 1000
HEADER_ROOM = 16 * 1024
BATCHES_IN_FLIGHT = 16
RETRY_SECONDS = 0.02
LONGEST_RETRY_SECONDS = 1.0
_EXPECTED_SEQ = "Nats-Expected-Last-Subject-Sequence"
_FULL = frozenset({10002, 10023, 10047})  # the account's storage, the server's, the stream's
_STORE_FAILED = 10077
_NEVER_TAKEN = frozenset({10054, 10199})  # message too large, batch too large


class WriteConflict(Exception):
    """A subject has moved on from what a write expects; nothing was stored, nor will be."""


class AtomicWriter:
    """Writes to one stream. Has no deadline of its own: the caller's bounds it."""

    def __init__(self, requests: RequestReply, reader: StreamReader) -> None:
        self._requests, self._reader = requests, reader
        self._turns = asyncio.Semaphore(BATCHES_IN_FLIGHT)

    async def write(self, drafts: Sequence[Draft]) -> int:
        """Store all `drafts` or none; return the sequence of the first, the others follow without a gap.

        Raises:
            WriteConflict: a subject has moved on.
            ProgrammingError: NATS never takes this: too many messages, or too large ones.
            OperationalError: the stream has no room.
        """
        self._check(drafts)
        write_id = uuid4().hex
        pause = RETRY_SECONDS
        async with self._turns:
            while True:
                answer = await self._send(drafts, write_id)
                if isinstance(answer, int):
                    return answer
                first = await self._read_back(drafts, write_id)
                if first is not None:
                    return first
                if answer is not None:
                    raise answer
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    def _check(self, drafts: Sequence[Draft]) -> None:
        if len(drafts) > MOST_MESSAGES:
            raise ProgrammingError(
                f"{len(drafts)} records in one write are more than the {MOST_MESSAGES} that NATS stores "
                "as a whole: save fewer aggregates or events at once"
            )
        most = self._requests.client.max_payload - HEADER_ROOM
        largest = max(len(draft.data) for draft in drafts)
        if largest > most:
            raise ProgrammingError(
                f"an event of {largest} bytes is more than the {most} that this NATS stores in one message: "
                "make it smaller, compress it (COMPRESSOR_TOPIC), or raise the server's max_payload"
            )

    async def _send(self, drafts: Sequence[Draft], write_id: str) -> int | Exception | None:
        """The first sequence, what a final refusal means, or None: find out."""
        batch_id = uuid4().hex  # a new one each time: the server may still hold the last try's beginning
        try:
            for number, draft in enumerate(drafts[:-1], start=1):
                headers = _headers(draft, write_id, batch_id, number)
                await self._requests.client.publish(draft.subject, draft.data, headers=headers)
            last = drafts[-1]
            headers = _headers(last, write_id, batch_id if len(drafts) > 1 else None, len(drafts))
            if len(drafts) > 1:
                headers["Nats-Batch-Commit"] = "1"
            answer = answer_of(await self._requests.ask(last.subject, last.data, headers))
        except (nats.errors.Error, Unanswered) as error:
            self._requests.last_failure = str(error)
            return None
        if "error" not in answer:
            return int(answer["seq"]) - len(drafts) + 1
        self._requests.last_failure = str(answer["error"].get("description"))
        return _final(answer["error"])

    async def _read_back(self, drafts: Sequence[Draft], write_id: str) -> int | None:
        """The first sequence of this write where it stands, None where nothing has moved."""
        for index, draft in enumerate(drafts):
            if draft.expected is None:
                continue
            follower = await self._reader.next(draft.subject, draft.expected + 1)
            if follower is None:
                continue
            if follower.headers.get(WRITE) == write_id:
                return follower.seq - index
            raise WriteConflict(f"{draft.subject} has moved on from {draft.expected}")
        return None


def _headers(draft: Draft, write_id: str, batch_id: str | None, number: int) -> dict[str, str]:
    headers = {**draft.headers, WRITE: write_id}
    if draft.expected is not None:
        headers[_EXPECTED_SEQ] = str(draft.expected)
    if batch_id is not None:
        headers |= {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
    return headers


def _final(error: dict[str, Any]) -> Exception | None:
    """What to raise where a refusal is final; None where a repetition may succeed."""
    code, description = error.get("err_code"), str(error.get("description"))
    store_full = code == _STORE_FAILED and ("maximum" in description or "no space" in description)
    if code in _FULL or store_full:
        return OperationalError(f"the stream has no room: {description}. Free disk space, or raise its limit")
    if code in _NEVER_TAKEN:
        return ProgrammingError(f"NATS refused a write: {description}")
    return None
