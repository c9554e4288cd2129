"""A budget per kind and reason of dead letter, so that a flood displaces only its own kind.

Any client that may report can cause letters, by reports on unknown tasks or with unreadable bodies. Their
kind and reason differ from those that a broken runner or an unreadable event causes. The stream bounds the
letters of one subject (a task, or all letters that runners publish). This budget bounds those of one kind and
reason, in number and in bytes, so that letters of refused reports together stay far below the stream's limit.
The oldest letter of the same kind and reason is dropped, and the number of dropped ones is logged. Counts are
kept in memory and reread periodically, since several processes store letters.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from urllib.parse import unquote

import structlog

from adapters.nats.jetstream_api import JetStreamApi, RawMessage
from domain.errors import Busy
from domain.subjects import under
from domain.validation.headers import header

MOST_ALIKE = 200
MOST_BYTES = 2 << 20
NEARLY_FULL_BYTES = MOST_BYTES * 3 // 4
OVERHEAD_BYTES = 200
"""An upper estimate of a letter's size beside its body, subject and header values."""
LOOK_SECONDS = 60.0
PAGE = 100
REASON = "towpath-reason"
_ALL = under("dead")
Like = tuple[str, str]

log = structlog.get_logger(__name__)


class _Alike:
    """Letters of one kind and reason, in order: sequences and sizes."""

    def __init__(self) -> None:
        self._letters: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def add(self, seq: int, size: int) -> None:
        self._letters.append((seq, size))
        self._bytes += size

    def oldest(self) -> int:
        return self._letters[0][0]

    def forget_oldest(self) -> None:
        self._bytes -= self._letters.popleft()[1]

    @property
    def too_many(self) -> bool:
        return len(self._letters) > MOST_ALIKE or (self._bytes > MOST_BYTES and len(self._letters) > 1)

    @property
    def full(self) -> bool:
        return len(self._letters) >= MOST_ALIKE or self._bytes >= NEARLY_FULL_BYTES


class DeadLetterBudget:
    """Removes letters beyond MOST_ALIKE or MOST_BYTES of one kind and reason, oldest first."""

    def __init__(self, api: JetStreamApi) -> None:
        self._api = api
        self._alike: dict[Like, _Alike] = {}
        self._look_at = 0.0
        self._busy = asyncio.Lock()
        self.dropped: dict[Like, int] = {}
        """How many letters of each kind and reason this process has removed."""

    async def kept(self, kind: str, reason: str, seq: int, size: int) -> None:
        """Count a letter of `size` bytes stored at `seq`, and drop the oldest ones beyond the budget.

        While NATS is unreachable, the drop is postponed.
        """
        async with self._busy:
            try:
                if asyncio.get_running_loop().time() >= self._look_at:
                    await self._look()
                else:
                    self._alike.setdefault((kind, reason), _Alike()).add(seq, size)
                for like in [one for one, alike in self._alike.items() if alike.too_many]:
                    await self._drop(like)
            except Busy:
                self._look_at = 0.0

    async def _drop(self, like: Like) -> None:
        alike, before = self._alike[like], self.dropped.get(like, 0)
        while alike.too_many:
            await self._api.delete(alike.oldest())
            alike.forget_oldest()
            self.dropped[like] = self.dropped.get(like, 0) + 1
        dropped = self.dropped[like]
        if before == 0 or dropped // MOST_ALIKE > before // MOST_ALIKE:
            kind, reason = like
            log.warning(
                "dead letters dropped, there are too many alike", kind=kind, reason=reason, dropped=dropped
            )

    async def full(self) -> list[Like]:
        """The kinds and reasons whose budget is used up, so that older letters are dropped."""
        async with self._busy:
            await self._look()
            return sorted(like for like, alike in self._alike.items() if alike.full)

    async def _look(self) -> None:
        found: dict[Like, _Alike] = {}
        after = 0
        while page := await self._api.batch(_ALL, after + 1, PAGE):
            for raw in page:
                found.setdefault(_like(raw), _Alike()).add(
                    raw.seq, size_of(raw.subject, raw.headers, raw.data)
                )
            after = page[-1].seq
        self._alike = found
        self._look_at = asyncio.get_running_loop().time() + LOOK_SECONDS


def _like(raw: RawMessage) -> Like:
    return raw.subject.split(".")[2], reason_of(raw.headers)


def size_of(subject: str, headers: Mapping[str, str], body: bytes) -> int:
    """The approximate size of a stored letter in bytes."""
    return OVERHEAD_BYTES + len(subject) + sum(map(len, headers.values())) + len(body)


def reason_of(headers: Mapping[str, str]) -> str:
    """The reason of a dead letter, from its header."""
    return unquote(header(headers, REASON) or "unknown")
