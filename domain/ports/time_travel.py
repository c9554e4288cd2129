"""Port `Past`: a position by time, and the locks as of a position."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from domain.identifiers import LogSeq
from domain.locks.table import LockTable


class Past(Protocol):
    """Answers questions about past positions of the log."""

    async def position(self, at: LogSeq | datetime) -> LogSeq:
        """The sequence for `at`: a sequence as it is, a time as the last sequence stored at or before it.

        Raises:
            Invalid: the log does not reach so far.
        """
        ...

    async def locks(self, seq: LogSeq) -> LockTable:
        """The lock table after `seq`. Busy if that takes too long."""
        ...
