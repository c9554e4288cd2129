"""Reads of one stream that wait while NATS is away, and never return less than the leader has.

The leader (`$JS.API.STREAM.MSG.GET`) tells what the last message is; direct gets, which any replica may
answer, fill in exactly what that bounds. A replica that lags is asked again. The caller's deadline bounds
every wait.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from eventsourcing_nats.leader_quorum import LeaderQuorum
from eventsourcing_nats.request_reply import RETRY_SECONDS, RequestReply, Unanswered, status_of

PAGE_MESSAGES = 500
_NO_MESSAGE = 10037
_END_OF_BATCH = ("204", "404")


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of the stream."""

    seq: int
    subject: str
    headers: Mapping[str, str]
    data: bytes


class StreamReader:
    """Reads messages of `stream`."""

    def __init__(self, requests: RequestReply, stream: str) -> None:
        self._requests, self._stream = requests, stream
        self._quorum = LeaderQuorum(lambda: self._ask("INFO"))

    async def last(self, subject: str) -> StoredMessage | None:
        """The last message whose subject matches, from the leader."""
        return await self._get({"last_by_subj": subject})

    async def next(self, subject: str, seq: int) -> StoredMessage | None:
        """The first message at or behind `seq` whose subject matches, from the leader."""
        return await self._get({"next_by_subj": subject, "seq": seq})

    async def get(self, seq: int) -> StoredMessage | None:
        """The message at `seq`, from the leader."""
        return await self._get({"seq": seq})

    async def exactly(self, subject: str, seq: int, count: int) -> AsyncIterator[list[StoredMessage]]:
        """The next `count` messages at or behind `seq`, in pages; they must exist on the leader."""
        while count > 0:
            page = await self._page(subject, seq, min(count, PAGE_MESSAGES))
            if page:
                yield page
                count -= len(page)
                seq = page[-1].seq + 1
            else:
                await asyncio.sleep(RETRY_SECONDS)  # a replica that lags

    async def _get(self, query: dict[str, Any]) -> StoredMessage | None:
        async def ask() -> dict[str, Any]:
            answer = await self._ask("MSG.GET", query)
            await self._quorum.confirm()
            return answer

        message = (await self._requests.until_answered(ask)).get("message")
        if message is None:
            return None
        headers = _headers(base64.b64decode(message.get("hdrs", "")))
        return StoredMessage(
            message["seq"], message["subject"], headers, base64.b64decode(message.get("data", ""))
        )

    async def _ask(self, verb: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self._requests.api(f"STREAM.{verb}.{self._stream}", query)
        error = answer.get("error")
        if error and error.get("err_code") != _NO_MESSAGE:
            raise Unanswered(f"stream {self._stream}: {error.get('description')}")
        return answer

    async def _page(self, subject: str, seq: int, count: int) -> list[StoredMessage]:
        query = json.dumps({"next_by_subj": subject, "seq": seq, "batch": count}).encode()

        async def ask() -> list[StoredMessage]:
            found = await self._requests.collect(f"$JS.API.DIRECT.GET.{self._stream}", query, count)
            status = status_of(found[-1])
            if status and status not in _END_OF_BATCH:
                raise Unanswered(f"a read of {self._stream} was answered with status {status}")
            messages = found[:-1] if status else found
            return [_direct(message.headers or {}, message.data) for message in messages]

        return await self._requests.until_answered(ask)


def _direct(headers: Mapping[str, str], data: bytes) -> StoredMessage:
    return StoredMessage(int(headers["Nats-Sequence"]), headers["Nats-Subject"], headers, data)


def _headers(block: bytes) -> dict[str, str]:
    """A header block as it is stored: a version line, then `Name: value` lines."""
    lines = [line.partition(":") for line in block.decode("utf-8", "replace").split("\r\n")[1:]]
    return {name.strip(): value.strip() for name, colon, value in lines if colon}
