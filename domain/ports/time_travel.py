"""Port `Past`: a position by time, and the locks as of a position."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from domain.locks.table import LockTable


class Past(Protocol):
    """Answers questions about positions of the log that lie behind."""

    async def position(self, at: int | datetime) -> int:
        """The sequence that is meant: itself, or the last one that was stored at or before a time.

        Raises:
            Invalid: the log does not reach so far.
        """
        ...

    async def locks(self, seq: int) -> LockTable:
        """The lock table after `seq`. Busy where that takes too long."""
        ...
