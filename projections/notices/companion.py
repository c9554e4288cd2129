"""Companions: what else runs in the notifier that works, and in no other, such as the chat bot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from domain.log.record import Recorded


class Companion(Protocol):
    """Runs beside the notifier's own work; it may be started again after it has ended."""

    def hear(self, events: Sequence[Recorded]) -> None:
        """Events of the log, in their order; those before the start are not told."""
        ...

    async def run(self, closing: asyncio.Event) -> None:
        """Run until `closing` is set, and finish then what was begun. Raises Busy and Superseded."""
        ...
