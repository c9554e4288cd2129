"""Parser of the NATS protocol without regular expressions, which copies each message once.

Every line other than MSG and HMSG goes through nats-py's own parser, one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import nats.errors
from nats.protocol.parser import MAX_CONTROL_LINE_SIZE, Parser

if TYPE_CHECKING:
    from adapters.nats.fast_client import FastClient

_MSG = 4
_HMSG = 5
_LINE_END = b"\r\n"


class _Head(NamedTuple):
    """What comes before the data of a message."""

    number: int
    subject: bytes
    reply: bytes
    block: bytes


class FastParser(Parser):
    """Cuts messages from the received bytes, and passes every other line to nats-py's parser."""

    def __init__(self, client: FastClient) -> None:
        self._client = client
        self._rest: list[bytes | memoryview] = []
        self._missing = 0
        self._head: _Head | None = None
        """Of a message whose data has not come whole; `_rest` is the data so far, else what is not parsed."""
        self._resets = 0
        super().__init__(client)

    def reset(self) -> None:
        """Drop buffered bytes; the next ones come from another connection."""
        super().reset()
        self._rest, self._missing, self._head = [], 0, None
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Handle all complete lines and messages, and keep the rest.

        The pieces of a message are joined once, when all have come, so that its cost grows with its size.

        Raises:
            nats.errors.ProtocolError: the bytes are not the NATS protocol.
        """
        self._missing -= len(data)
        if self._missing > 0:
            self._rest.append(data)
            return
        if self._head is not None:
            resets = self._resets
            data = await self._deliver_joined(self._head, data)
            if self._resets != resets:
                return
        buffer = b"".join([*self._rest, data])
        self._rest, self._missing = [], 0
        position, resets, takers = 0, self._resets, self._client.takers
        while True:
            line_end = buffer.find(b"\r\n", position)
            if line_end < 0:
                break
            body = line_end + 2
            reply, head = b"", 0
            if buffer.startswith(b"HMSG ", position):
                words = buffer[position + _HMSG : line_end].split()
                if len(words) == 5:
                    subject, sid, reply, start, total = words
                elif len(words) == 4:
                    subject, sid, start, total = words
                else:
                    raise _malformed()
                head = _number(start)
            elif buffer.startswith(b"MSG ", position):
                words = buffer[position + _MSG : line_end].split()
                if len(words) == 4:
                    subject, sid, reply, total = words
                elif len(words) == 3:
                    subject, sid, total = words
                else:
                    raise _malformed()
            else:
                await super().parse(buffer[position:body])
                if self._resets != resets:
                    return
                position = body
                continue
            end = body + _number(total)
            number = int(sid)
            if len(buffer) < end + 2:
                self._missing = end + 2 - len(buffer)
                if len(buffer) >= body + head:
                    self._head = _Head(number, subject, reply, buffer[body : body + head])
                    position = body + head
                break
            position = end + 2
            payload, block = buffer[body + head : end], buffer[body : body + head]
            take = takers.get(number)
            if take is not None:
                take(subject, reply, block, payload)
                stats = self._client.stats
                stats["in_msgs"] += 1
                stats["in_bytes"] += len(payload)
            else:
                await self._client._process_msg(number, subject, reply, payload, block)
                if self._resets != resets:
                    return
        if line_end < 0 and len(buffer) - position >= MAX_CONTROL_LINE_SIZE:
            raise nats.errors.ProtocolError("nats: unknown protocol")
        if position < len(buffer):
            self._rest = [memoryview(buffer)[position:]]

    async def _deliver_joined(self, head: _Head, data: bytes) -> bytes:
        """Deliver the message whose data ends in `data`; what follows it."""
        behind = -self._missing
        following = data[len(data) - behind :] if behind else b""
        payload = b"".join(_without_end([*self._rest, data], behind + len(_LINE_END)))
        self._rest, self._missing, self._head = [], 0, None
        take = self._client.takers.get(head.number)
        if take is None:
            await self._client._process_msg(head.number, head.subject, head.reply, payload, head.block)
            return following
        take(head.subject, head.reply, head.block, payload)
        stats = self._client.stats
        stats["in_msgs"] += 1
        stats["in_bytes"] += len(payload)
        return following


def _without_end(pieces: list[bytes | memoryview], size: int) -> list[memoryview]:
    """The pieces without their last `size` bytes."""
    found = [memoryview(one) for one in pieces]
    while found and size >= len(found[-1]):
        size -= len(found.pop())
    return [*found[:-1], *(one[: len(one) - size] for one in found[-1:])]


def _number(word: bytes) -> int:
    if not word.isdigit():
        raise _malformed()
    return int(word)


def _malformed() -> nats.errors.ProtocolError:
    return nats.errors.ProtocolError("nats: malformed MSG")
