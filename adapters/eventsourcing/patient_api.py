"""Reads of one stream that wait while NATS is away, and never return less than the leader has.

The leader says what the last message is; direct reads, which any replica may answer, fill in exactly what
that bounds. A replica that lags is asked again. The caller's deadline bounds every wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable, RawMessage

PAGE = 500
RETRY_SECONDS = 0.05


class PatientApi(JetStreamApi):
    """JetStreamApi whose reads are repeated until they are answered; `last_refusal` says why not so far."""

    last_refusal = ""

    async def batch(self, subject: str, seq: int, count: int) -> list[RawMessage]:
        while True:
            try:
                return await super().batch(subject, seq, count)
            except LogUnreachable as error:
                await self._wait(error)

    async def exactly(self, subject: str, seq: int, count: int) -> AsyncIterator[list[RawMessage]]:
        """The next `count` messages at or behind `seq`, in pages; they must exist on the leader."""
        while count > 0:
            page = await self.batch(subject, seq, min(count, PAGE))
            if page:
                yield page
                count -= len(page)
                seq = page[-1].seq + 1
            else:
                await asyncio.sleep(RETRY_SECONDS)

    async def _request(self, subject: str, body: bytes) -> dict[str, Any]:
        while True:
            try:
                return await super()._request(subject, body)
            except LogUnreachable as error:
                await self._wait(error)

    async def _wait(self, error: LogUnreachable) -> None:
        self.last_refusal = str(error)
        await asyncio.sleep(RETRY_SECONDS)
