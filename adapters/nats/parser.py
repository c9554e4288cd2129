"""Parser of the NATS protocol without regular expressions and without copying buffers.

Every line other than MSG and HMSG goes through nats-py's own parser, one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import nats.errors
from nats.protocol.parser import MAX_CONTROL_LINE_SIZE, Parser

if TYPE_CHECKING:
    from adapters.nats.fast_client import FastClient

_MSG = 4
_HMSG = 5


class FastParser(Parser):
    """Cuts messages from the received bytes, and passes every other line to nats-py's parser."""

    def __init__(self, client: FastClient) -> None:
        self._client = client
        self._rest: list[bytes] = []
        self._missing = 0
        self._resets = 0
        super().__init__(client)

    def reset(self) -> None:
        """Drop buffered bytes; the next ones come from another connection."""
        super().reset()
        self._rest, self._missing = [], 0
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Handle all complete lines and messages, and keep the rest.

        The pieces of a message are joined once, when all have come, so that its cost grows with its size.

        Raises:
            nats.errors.ProtocolError: the bytes are not the NATS protocol.
        """
        self._rest.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        buffer = b"".join(self._rest)
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
            if len(buffer) < end + 2:
                self._missing = end + 2 - len(buffer)
                break
            position = end + 2
            number, payload, block = int(sid), buffer[body + head : end], buffer[body : body + head]
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
            self._rest = [buffer[position:]]


def _number(word: bytes) -> int:
    if not word.isdigit():
        raise _malformed()
    return int(word)


def _malformed() -> nats.errors.ProtocolError:
    return nats.errors.ProtocolError("nats: malformed MSG")
